#include "ctl/verb_texts.h"

#include <array>

namespace imgcachefs {
namespace {

constexpr std::string_view kLook = "Look", kFetch = "Fetch", kKeep = "Keep", kRemove = "Remove";

constexpr std::array kTexts = {
    VerbText{
        "list", kLook, "list what is cached, or queued, incomplete or invalid",
        "list [--queued | --incomplete | --invalid] [--ids]",
        "Lists the cached images, or others. On a terminal the table is cut to its width; in a\n"
        "pipe nothing is. With --json each is Glance's record and ours beside it. Changes "
        "nothing.\n",
        "  imgcachectl -m /mnt/images list\n"
        "  imgcachectl -m /mnt/images list --queued          what waits, and why\n"
        "  imgcachectl list --ids | xargs imgcachectl verify\n"},
    VerbText{"info", kLook, "tell all that is known of one image", "info ID",
             "Tells of a cached or incomplete image what the directory and its index know: sizes,\n"
             "times, hits, checksum, pin. Changes nothing.\n",
             "  imgcachectl -m /mnt/images info debian.qcow2\n"
             "  imgcachectl -m /mnt/images info --json debian.qcow2\n"},
    VerbText{
        "map", kLook, "draw which parts of an image are present", "map ID",
        "Draws which parts of an image lie on disk: all of a cached one, and of an incomplete one\n"
        "what its saved chunk map says. The saved map may lag a running fill by a second. With\n"
        "--json: chunk_size, size and the present ranges as [{\"begin\", \"end\"}], offsets in "
        "bytes,\n"
        "the end not included. Works without a daemon too. Changes nothing.\n",
        "  imgcachectl -m /mnt/images map debian.qcow2\n"
        "  imgcachectl -m /mnt/images map --json debian.qcow2\n"},
    VerbText{
        "status", kLook, "tell the state of the cache and of its mount", "status",
        "Tells how full the cache is, how many images lie where, and of a mount its hits, its\n"
        "upstream's figures and what is being filled. Changes nothing.\n",
        "  imgcachectl -m /mnt/images status\n"
        "  imgcachectl -c /var/cache/imgcachefs status --json\n"},
    VerbText{
        "top", kLook, "watch fills, hits, upstream and space as they change",
        "top [--interval TIME] [-n N | --once]",
        "Shows what a mount is doing, anew every second, until q or ctrl-C. With -n or --once, or\n"
        "where the output is no terminal, it prints plain snapshots instead, one after another; "
        "with\n"
        "--json each is an object on a line of its own. Rates are since the snapshot before, so "
        "the\n"
        "first has none. Needs a mount. Changes nothing.\n",
        "  imgcachectl -m /mnt/images top\n"
        "  imgcachectl -m /mnt/images top --once\n"
        "  imgcachectl -m /mnt/images top --json --interval 10 >>/var/log/images.jsonl\n"},
    VerbText{
        "prefetch", kFetch, "have images cached, and wait for it", "prefetch ID...",
        "Queues images and waits until the running daemon has cached them, oldest first and below\n"
        "what readers ask for. Exit code 0 only when all of them are cached and their checksums "
        "were\n"
        "right. What fails for now (5, 6) or is interrupted stays queued, and the daemon goes on\n"
        "trying; unqueue ends that. An image of a registry is given as REPOSITORY/ID.\n",
        "  imgcachectl -m /mnt/images prefetch debian.qcow2 fedora.qcow2\n"
        "  imgcachectl -m /mnt/oci prefetch team/vm/sha256:5f70bf18a086...\n"},
    VerbText{
        "queue", kFetch, "have images cached in the background", "queue ID...",
        "Puts images into the queue. They are cached in the order in which they were queued, by "
        "the\n"
        "daemon (within seconds), or by Glance's prefetcher on the same directory. It is no error\n"
        "when one is queued, cached or being cached already. What cannot be cached stays queued; "
        "list\n"
        "--queued tells why. An image of a registry is given as REPOSITORY/ID, for the daemon to "
        "know\n"
        "where it is.\n",
        "  imgcachectl -m /mnt/images queue debian.qcow2\n"
        "  imgcachectl -c /var/cache/imgcachefs queue debian.qcow2   for the next mount\n"},
    VerbText{"unqueue", kFetch, "take images out of the queue", "unqueue (ID... | --all)",
             "Takes images out of the queue. What is being fetched already may go on.\n",
             "  imgcachectl -m /mnt/images unqueue debian.qcow2\n"
             "  imgcachectl -m /mnt/images unqueue --all\n"},
    VerbText{
        "pin", kKeep, "keep images: they are never evicted or pruned", "pin ID...",
        "Marks cached images: neither a full cache nor evict and prune take them out. A pinned\n"
        "image still goes when it changes upstream, or is gone there.\n",
        "  imgcachectl -m /mnt/images pin debian.qcow2\n"},
    VerbText{"unpin", kKeep, "let images be evicted and pruned again", "unpin ID...",
             "Takes the mark of pin away. Nothing is removed by that.\n",
             "  imgcachectl -m /mnt/images unpin debian.qcow2\n"},
    VerbText{"verify", kKeep, "re-hash what is on disk of cached images", "verify [ID... | --all]",
             "Reads cached images from disk and compares them with the checksums that were "
             "published for\n"
             "them. One that is wrong is moved to invalid/, and fetched anew when it is read next; "
             "who has\n"
             "it open keeps it. Without IDs: all that are cached. Takes as long as reading them.\n",
             "  imgcachectl -m /mnt/images verify debian.qcow2\n"
             "  imgcachectl -c /var/cache/imgcachefs verify --all\n"},
    VerbText{
        "evict", kRemove, "take images out of the cache", "evict (ID... | --all)",
        "Removes cached images, and what there is of incomplete ones, from disk. They are fetched\n"
        "anew when they are read next. What is in use or pinned stays, with exit code 7.\n",
        "  imgcachectl -m /mnt/images evict debian.qcow2\n"
        "  imgcachectl -c /var/cache/imgcachefs evict --all\n"},
    VerbText{
        "prune", kRemove, "take out the least recently used until the others fit",
        "prune [--max-size SIZE] [--dry-run]",
        "Removes invalid images, then the least recently used ones, until all that is left takes "
        "no\n"
        "more than the limit. What is in use or pinned stays. The daemon does this by itself.\n",
        "  imgcachectl -m /mnt/images prune --dry-run\n"
        "  imgcachectl -c /var/cache/imgcachefs prune --max-size 50G\n"},
    VerbText{"clean", kRemove, "remove what is invalid, or incomplete and stalled",
             "clean [--stall-time TIME] [--dry-run]",
             "Removes invalid images, and incomplete ones that nobody fills and that were not "
             "written to\n"
             "for the stall time. The daemon does this by itself.\n",
             "  imgcachectl -m /mnt/images clean --dry-run\n"
             "  imgcachectl -c /var/cache/imgcachefs clean --stall-time 0\n"},
};

}  // namespace

std::span<const VerbText> verb_texts() {
  return kTexts;
}

}  // namespace imgcachefs
