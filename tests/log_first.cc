// The log is there before any thread. Otherwise the first two threads that log make it at the same
// time, in a library that ThreadSanitizer does not see into, and it reports a race that is none.
#include <spdlog/spdlog.h>

namespace imgcachefs::test {
namespace {

[[maybe_unused]] const auto* const kLog = spdlog::default_logger_raw();

}  // namespace
}  // namespace imgcachefs::test
