// The smallest guest there is: a disk whose boot sector is a program of its own.
//
// It reads `message` from where it lies on the disk, writes it to the second sector, says it on the
// first serial port, and stops. It does so by the BIOS (interrupt 13h), so it boots from whatever
// disk the BIOS knows: IDE, virtio. When the disk cannot be read or written it says "cannot".
#pragma once

#include <cstdint>
#include <string>

namespace imgcachefs::test {

constexpr uint64_t kSectorSize = 512;

// The bytes of such a disk: `size` (a multiple of 512) of them, random but for boot sector and
// message, which begins at `place` (likewise). The message is shorter than a sector.
std::string boot_disk(uint64_t size, uint64_t place, const std::string& message);

}  // namespace imgcachefs::test
