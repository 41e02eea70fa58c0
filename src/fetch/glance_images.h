// OpenStack Glance as upstream (Image API v2): an image is an active image, its ID the UUID, of
// either case, as Glance has it (DESIGN 2.1, 2.4).
//
// What an image is known by are its checksums, and not the time of its last update, which a change
// of any property moves. A deactivated image is kDenied, one in any other state kNotFound. Whether
// the store of an image can do ranges is only seen when one is asked for; it is remembered by
// image.
//
// https://docs.openstack.org/api-ref/image/v2/ is the source of the format; what real servers do
// beside it has a test each in tests/contract/upstream_glance_test.cc.
#pragma once

#include <memory>

#include "fetch/authenticator.h"
#include "fetch/http_config.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// With names(). Of `http` the login is not used: `authenticator` is what lets us in. A request that
// is answered with 401 is sent once more, with the token the authenticator has then. kInvalid when
// a file that `http` names cannot be read; nothing is asked of the network.
// `stats` is counted up.
Result<std::unique_ptr<Upstream>> open_glance(
    std::unique_ptr<Authenticator> authenticator, const HttpConfig& http,
    std::shared_ptr<UpstreamStats> stats = std::make_shared<UpstreamStats>());

}  // namespace imgcachefs
