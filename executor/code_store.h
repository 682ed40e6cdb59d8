// Where code archives come from: each belongs to a user. The folder is the store of one host or of a shared mount; an
// object store fits the same interface.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/base/ids.h"
#include "common/base/result.h"
#include "executor/worker.h"

namespace hearth::executor {

constexpr std::size_t kMaxCodeLoadsQueued = 1024;

class CodeStore {
 public:
  using Loaded = std::function<void(Result<std::shared_ptr<const std::string>>)>;
  virtual ~CodeStore() = default;
  // `loaded` is called once, on the loop's thread, with an archive of the user's whose SHA-256 is `hash`. kNotFound:
  // the user has none in the store, whoever else may have it; kInvalid: what it has is not that archive or is larger
  // than kMaxCodeBytes; kExhausted: too many loads wait.
  virtual void Load(const UserId& user, const CodeHash& hash, Loaded loaded) = 0;
};

// A folder for each user, with files named by their hash. They are read on a thread of its own.
class FolderCodeStore : public CodeStore {
 public:
  using Post = std::function<void(std::function<void()>)>;  // runs a function on the loop's thread; any thread calls it
  FolderCodeStore(std::string folder, Post post);
  void Load(const UserId& user, const CodeHash& hash, Loaded loaded) override;

 private:
  const std::string folder_;
  const Post post_;
  Worker reader_;
};

}  // namespace hearth::executor
