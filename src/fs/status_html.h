// The status page for people: what .imgcachefs/status says and what was done lately, as HTML.
//
// All of it is in the page: it needs no script and nothing from elsewhere. A small script takes
// over a newer page now and then; where there are none, the browser loads it anew. All text from
// outside (names of images, messages, the source) is escaped.
#pragma once

#include <string>

#include "cache/store_status.h"
#include "fetch/upstream.h"
#include "fs/history.h"
#include "fs/mount_facts.h"

namespace imgcachefs {

std::string status_html(const MountFacts& facts, bool passthrough, const StoreStatus& store,
                        const UpstreamStats& upstream, const History& history, WallTime now);

// The Content-Security-Policy it works under: its own style and script, and nothing else.
std::string status_html_policy();

}  // namespace imgcachefs
