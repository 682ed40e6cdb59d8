// librdkafka as Debian packages it uses C11 threads. ThreadSanitizer watches POSIX threads only: in a thread that it
// did not see start, the first function that it watches ends the process. These definitions come before the C
// library's and lead to POSIX threads. glibc's C11 types hold nothing else (nptl/thrd_priv.h).
#include <pthread.h>
#include <threads.h>

#include <cerrno>
#include <cstdint>
#include <memory>

namespace {

static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t));
static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t));
static_assert(sizeof(once_flag) >= sizeof(pthread_once_t));

int Outcome(int error) {
  switch (error) {
    case 0: return thrd_success;
    case ENOMEM: return thrd_nomem;
    case ETIMEDOUT: return thrd_timedout;
    case EBUSY: return thrd_busy;
    default: return thrd_error;
  }
}

pthread_mutex_t* Posix(mtx_t* mutex) {
  return reinterpret_cast<pthread_mutex_t*>(mutex);
}
pthread_cond_t* Posix(cnd_t* condition) {
  return reinterpret_cast<pthread_cond_t*>(condition);
}

struct Start {
  thrd_start_t function;
  void* argument;
};

void* Run(void* start) {
  const std::unique_ptr<Start> owned(static_cast<Start*>(start));
  return reinterpret_cast<void*>(static_cast<std::intptr_t>(owned->function(owned->argument)));
}

}  // namespace

extern "C" {

// librdkafka counts references with atomics of its own code, which is not instrumented: that the last one destroys a
// topic's lock, or frees what a broker's thread has copied from, looks like a race. Nothing of hearth's has such a
// lock, and what the library itself copies and frees is not judged.
const char* __tsan_default_suppressions() {  // NOLINT(bugprone-reserved-identifier): the sanitizer's name
  return "race:pthread_rwlock_destroy\ncalled_from_lib:librdkafka.so\n";
}

int thrd_create(thrd_t* thread, thrd_start_t function, void* argument) {
  auto start = std::make_unique<Start>(Start{function, argument});
  const int error = pthread_create(thread, nullptr, Run, start.get());
  if (error == 0) start.release();  // Run's
  return Outcome(error);
}

int thrd_join(thrd_t thread, int* result) {
  void* value = nullptr;
  const int error = pthread_join(thread, &value);
  if (result != nullptr) *result = static_cast<int>(reinterpret_cast<std::intptr_t>(value));
  return Outcome(error);
}

int mtx_init(mtx_t* mutex, int type) noexcept {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_settype(&attributes, (type & mtx_recursive) != 0 ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_NORMAL);
  const int error = pthread_mutex_init(Posix(mutex), &attributes);
  pthread_mutexattr_destroy(&attributes);
  return Outcome(error);
}
void mtx_destroy(mtx_t* mutex) noexcept {
  pthread_mutex_destroy(Posix(mutex));
}
int mtx_lock(mtx_t* mutex) {
  return Outcome(pthread_mutex_lock(Posix(mutex)));
}
int mtx_unlock(mtx_t* mutex) noexcept {
  return Outcome(pthread_mutex_unlock(Posix(mutex)));
}

int cnd_init(cnd_t* condition) noexcept {
  return Outcome(pthread_cond_init(Posix(condition), nullptr));
}
void cnd_destroy(cnd_t* condition) noexcept {
  pthread_cond_destroy(Posix(condition));
}
int cnd_signal(cnd_t* condition) noexcept {
  return Outcome(pthread_cond_signal(Posix(condition)));
}
int cnd_broadcast(cnd_t* condition) noexcept {
  return Outcome(pthread_cond_broadcast(Posix(condition)));
}
int cnd_wait(cnd_t* condition, mtx_t* mutex) {
  return Outcome(pthread_cond_wait(Posix(condition), Posix(mutex)));
}
int cnd_timedwait(cnd_t* condition, mtx_t* mutex, const timespec* until) {
  return Outcome(pthread_cond_timedwait(Posix(condition), Posix(mutex), until));
}

void call_once(once_flag* flag, void (*function)()) {
  pthread_once(reinterpret_cast<pthread_once_t*>(flag), function);
}

}  // extern "C"
