#include "fs/privileges.h"

#include <cap-ng.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace imgcachefs {
namespace {

constexpr std::array<unsigned, 4> kNeeded = {CAP_SYS_ADMIN, CAP_DAC_OVERRIDE, CAP_FOWNER,
                                             CAP_CHOWN};

}  // namespace

Status drop_privileges() {
  if (::geteuid() != 0) return {};
  const auto had = [](unsigned capability) {
    return capng_have_capability(CAPNG_PERMITTED, capability) == 1;
  };
  if (capng_get_caps_process() != 0) return fail_errno("capabilities", errno);
  std::array<bool, kNeeded.size()> kept{};
  for (size_t i = 0; i < kNeeded.size(); ++i) kept[i] = had(kNeeded[i]);
  const bool may_bound = had(CAP_SETPCAP);

  capng_clear(CAPNG_SELECT_ALL);
  // In a container some of them may never have been ours.
  for (size_t i = 0; i < kNeeded.size(); ++i)
    if (kept[i])
      capng_update(
          CAPNG_ADD,
          static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET),
          kNeeded[i]);
  const int applied = capng_apply(may_bound ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS);
  if (applied != 0) return fail_errno("capabilities cannot be given up", errno);
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return fail_errno("no_new_privs", errno);
  return {};
}

}  // namespace imgcachefs
