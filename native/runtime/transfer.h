// Bytes on their way from one device to another: the source's queue fills them in, the target's queue waits for them there, so
// that neither the JS thread nor the source waits for anybody.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>

namespace hadal {

// Told, on a thread of the device, that a read has arrived.
class ReadListener {
 public:
  virtual void read_done(void* token) = 0;
  // Instead, when the device stops before it gets there.
  virtual void read_dropped(void* token) = 0;

 protected:
  ~ReadListener() = default;
};

// Owned by both queues; the later one to be done with it frees it.
class Transfer final : public ReadListener {
 public:
  explicit Transfer(size_t size) : size_(size), bytes_(std::make_unique_for_overwrite<std::byte[]>(size)) {}

  size_t size() const { return size_; }
  std::byte* bytes() { return bytes_.get(); }

  void read_done(void*) override {
    {
      std::lock_guard lock(mutex_);
      arrived_ = true;
      condition_.notify_all();
    }
    release();
  }
  void read_dropped(void*) override { read_done(nullptr); }
  void wait() {
    std::unique_lock lock(mutex_);
    condition_.wait(lock, [this] { return arrived_; });
  }
  void release() {
    if (owners_.fetch_sub(1) == 1) delete this;
  }

 private:
  ~Transfer() = default;

  size_t size_;
  std::unique_ptr<std::byte[]> bytes_;
  std::mutex mutex_;
  std::condition_variable condition_;
  bool arrived_ = false;
  std::atomic<int> owners_{2};
};

}  // namespace hadal
