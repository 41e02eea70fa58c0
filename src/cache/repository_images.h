// RepositoryImages: the images of upstream's repositories (a registry), as a tree of directories.
//
//     team/                       a directory, because repositories lie below it
//     team/vm/                    a repository; may have others below it
//     team/vm/<id>                an image of it; the same image may be in others, and is kept once
//     team/vm, tag latest         refers to some of its images
//
// Which image a repository has is asked of upstream, or known from others (fetch/layer_info.h):
// that an image is cached says nothing of who may see it where. What was found is noted on the
// files (repository_marks.h) and holds while upstream is silent.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/gate.h"
#include "cache/believed.h"
#include "cache/cache_layout.h"
#include "cache/found_images.h"
#include "cache/store_config.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// Thread-safe; marking_ protects the marks on the files (held across their I/O).
class RepositoryImages {
 public:
  RepositoryImages(const StoreConfig& config, const CacheLayout& layout, Repositories& upstream,
                   AskingThreads threads, std::stop_token stop);

  // Reads the marks of what is cached. All that is asked before waits for it, without a thread.
  void load();

  // Each calls `done` once: at once when the answer is believed, else from a thread of the store.

  using Done = std::function<void(Status)>;
  // Whether there is such a directory: the catalogue knows a repository there or below, or upstream
  // knows it by its tags, or it does not tell its catalogue (or cannot, while it answers other
  // questions), or an image of it is cached. kNotFound when not.
  void find_directory(const std::string& path, Done done);

  // Whether the repository has the image. kNotFound when not; kDenied when it may not be pulled.
  void find_image(const std::string& repository, const ImageId& id, Done done);

  // Upstream is to know where an image of the queue is: in one of the repositories noted on its
  // queue file. Without a note it is as good as known.
  void find_queued(const ImageId& id, Done done);

  struct Listing {
    std::vector<std::string> directories;  // names in it, sorted
    NameList images;                       // sorted
  };
  // What `ls` shows of a directory ("" is the topmost): what is cached, and with list_all what
  // upstream has. When it does not answer, what is cached and what it said last.
  void list(const std::string& path, std::function<void(Result<Listing>)> done);

  using Tags = std::shared_ptr<const std::vector<std::string>>;
  void list_tags(const std::string& repository, std::function<void(Result<Tags>)> done);
  void find_tag(const std::string& repository, const std::string& tag,
                std::function<void(Result<std::shared_ptr<const Tag>>)> done);

  // An image is to be called cached; `fd` is its file. And then: it is.
  void image_committing(const ImageId& id, int fd);
  void image_committed(const ImageId& id);
  // Upstream had it no more when it was to be read: the next look-up asks for it anew.
  void not_read(const ImageId& id);

  // Nothing that upstream said is believed any more, but while it is silent.
  void doubt_all();

  void close();  // joins the thread; what is asked after that ends at once, by the stop token

 private:
  static constexpr size_t kFewCached = 1000;  // too few to look after those that were evicted
  struct Member {};
  using ImageIn = std::pair<std::string, ImageId>;    // a repository, an image
  using TagOf = std::pair<std::string, std::string>;  // a repository, a tag
  using Names = std::vector<std::string>;
  using Contents = std::shared_ptr<const std::vector<ImageId>>;

  Result<Member> ask_member(const ImageIn& key, Patience patience);
  Result<std::vector<ImageId>> ask_contents(const std::string& repository);
  // Takes in what upstream said of a repository.
  template <typename Answer>
  Result<Answer> noted(const std::string& repository, Result<Answer> answer);
  void found(const ImageIn& key);
  void gone(const ImageIn& key);
  void refused(const std::string& repository);
  void mark(const ImageIn& key, int fd);
  void unmark(const ImageIn& key);

  void find_uncached_directory(const std::string& path, Done done);
  void find_tagged_directory(const std::string& path, Status catalogue, Done done);
  void find_in_one_of(Names repositories, const ImageId& id, Done done);
  bool is_cached(const ImageIn& key);
  bool has_cached_below(const std::string& path);
  void look_after_the_evicted();
  Listing listing(const std::string& path, const Contents& contents);

  const StoreConfig& config_;
  const CacheLayout& layout_;
  Repositories& upstream_;
  const AskingThreads threads_;
  const std::stop_token stop_;
  Believed<std::monostate, Names> catalogue_;
  Believed<std::string, Names> tags_;
  Believed<TagOf, Tag> tag_;
  Believed<ImageIn, Member> members_;
  Believed<std::string, std::vector<ImageId>> contents_;  // of all tags of a repository
  FoundImages found_;
  Gate loaded_;
  std::mutex marking_;
  std::atomic<size_t> look_after_{kFewCached};  // as many that are called cached
  // Asks for the contents of repositories: hundreds of questions each, which hold nobody else up.
  WorkerPool lister_;
};

}  // namespace imgcachefs
