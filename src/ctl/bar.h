// How much of something there is, as a number and as a drawing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace imgcachefs {

// Rounded down, so that 100 is all of it; of nothing (`of` = 0), 100.
unsigned percent_of(uint64_t part, uint64_t of);

// "[######----]", exactly so many columns wide: at least 3.
std::string bar(uint64_t part, uint64_t of, size_t columns);

}  // namespace imgcachefs
