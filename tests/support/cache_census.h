// What lies in a cache directory, counted from outside while a daemon works in it.
#pragma once

#include <cstdint>
#include <string>

namespace imgcachefs::test {

// Bytes of cached, incomplete and invalid images that lay there together at one moment: a look at
// the directory takes time, and what is renamed, evicted and begun meanwhile must not be counted as
// if it had all been there at once. So it is looked at twice, and what was there both times was
// there in between. Never more than there was then.
uint64_t census(const std::string& cache_dir);

}  // namespace imgcachefs::test
