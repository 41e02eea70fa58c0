#include "real/boot_disk.h"

#include <algorithm>
#include <array>
#include <random>

namespace imgcachefs::test {
namespace {

// Where things lie in the boot sector; the BIOS puts it at 7C00h.
constexpr size_t kPacket = 0x60, kCannot = 0x70, kSignature = 0x1FE;

constexpr std::array<uint8_t, 0x42> kProgram = {
    0xFC,                                // 00       cld
    0x31, 0xC0,                          // 01       xor ax, ax
    0x8E, 0xD8,                          // 03       mov ds, ax
    0x8E, 0xD0,                          // 05       mov ss, ax
    0xBC, 0x00, 0x7C,                    // 07       mov sp, 7C00h
    0xBE, 0x60, 0x7C,                    // 0A       mov si, packet     ; dl is the disk's number
    0xB4, 0x42,                          // 0D       mov ah, 42h        ; read
    0xCD, 0x13,                          // 0F       int 13h
    0x72, 0x2A,                          // 11       jc failed
    0xC7, 0x06, 0x68, 0x7C, 0x01, 0x00,  // 13       mov word [packet + 8], 1
    0xB8, 0x00, 0x43,                    // 19       mov ax, 4300h      ; write
    0xCD, 0x13,                          // 1C       int 13h
    0x72, 0x1D,                          // 1E       jc failed
    0xBE, 0x00, 0x80,                    // 20       mov si, 8000h
    0xAC,                                // 23 say:  lodsb
    0x84, 0xC0,                          // 24       test al, al
    0x74, 0x11,                          // 26       jz stop
    0x88, 0xC3,                          // 28       mov bl, al
    0xBA, 0xFD, 0x03,                    // 2A       mov dx, 3FDh       ; state of COM1
    0xEC,                                // 2D wait: in al, dx
    0xA8, 0x20,                          // 2E       test al, 20h       ; it takes a byte
    0x74, 0xFB,                          // 30       jz wait
    0x88, 0xD8,                          // 32       mov al, bl
    0xB2, 0xF8,                          // 34       mov dl, F8h
    0xEE,                                // 36       out dx, al
    0xEB, 0xEA,                          // 37       jmp say
    0xFA,                                // 39 stop: cli
    0xF4,                                // 3A       hlt
    0xEB, 0xFC,                          // 3B       jmp stop
    0xBE, 0x70, 0x7C,                    // 3D failed: mov si, cannot
    0xEB, 0xE1,                          // 40       jmp say
};

void put(std::string& disk, size_t at, uint64_t number, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) disk[at + i] = static_cast<char>(number >> 8 * i);
}

}  // namespace

std::string boot_disk(uint64_t size, uint64_t place, const std::string& message) {
  std::string disk(size, '\0');
  std::mt19937_64 random(size ^ place);
  for (size_t at = 0; at < size; at += 8) put(disk, at, random(), 8);

  std::fill_n(disk.begin(), kSectorSize, '\0');
  std::copy(kProgram.begin(), kProgram.end(), disk.begin());
  put(disk, kPacket, 16, 2);          // its own size
  put(disk, kPacket + 2, 1, 2);       // sectors
  put(disk, kPacket + 4, 0x8000, 4);  // to 0000:8000
  put(disk, kPacket + 8, place / kSectorSize, 8);
  disk.replace(kCannot, 6, "cannot");
  put(disk, kSignature, 0xAA55, 2);

  std::fill_n(disk.begin() + static_cast<std::ptrdiff_t>(place), kSectorSize, '\0');
  disk.replace(place, message.size(), message);
  return disk;
}

}  // namespace imgcachefs::test
