/*
 * Yardsticks of `npm run bench -- ring`: the rings of src/toolkit/ring as a C++ engineer writes
 * them, in threads that are pinned, timed inside (first start to last end), summed and checked.
 *
 * Reads requests from standard input, answers each with one line of JSON:
 *   run CASE ITEMS CPU,CPU,... FIFO   {"ns":N,"switches":N}   involuntary ones; FIFO 1: SCHED_FIFO
 *   fifo 1|0 TID...                   {"ok":true|false}       the same for threads of others
 *
 * SPSC: Lamport's ring with the opposite index cached and, as SpscRing does, room given back when
 * an eighth of the ring is read (`eager`: for each item). MPMC: the bounded queue of D. Vyukov, and
 * for batches one in the manner of DPDK's rte_ring: a head and a tail for each side, a range of
 * slots taken by one compare-and-swap. Written from these ideas; no code of theirs.
 * Waiting: nothing at all (a reload) with a CPU for each thread; else the ladder of
 * bench/ring/waiting.ts: look again, sched_yield(), sleep.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr size_t LINE = 128;
constexpr uint32_t CAPACITY = 4096;
constexpr uint32_t RECORD_CAPACITY = 1024;
constexpr uint32_t PAGE_COUNT = 64;
constexpr uint32_t PAGE_ITEMS = 512;
constexpr int FIFO_PRIORITY = 1;
constexpr unsigned SPIN_COUNT = 50;
constexpr unsigned YIELD_COUNT = 50;
constexpr long SLEEP_NS = 50'000;

using std::memory_order;
constexpr memory_order SEQ_CST = std::memory_order_seq_cst;
constexpr memory_order ACQUIRE = std::memory_order_acquire;
constexpr memory_order RELEASE = std::memory_order_release;
constexpr memory_order RELAXED = std::memory_order_relaxed;

int64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

long switches() {
  rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

bool set_fifo(pid_t tid, bool on) {
  sched_param param{};
  param.sched_priority = on ? FIFO_PRIORITY : 0;
  return sched_setscheduler(tid, on ? SCHED_FIFO : SCHED_OTHER, &param) == 0;
}

/* What a thread does when a ring is full or empty; done() after a look that found something. */
struct Spin {
  static void wait() {}
  static void done() {}
};
struct Ladder {
  static void wait() {
    if (looks >= SPIN_COUNT + YIELD_COUNT) {
      const timespec pause{0, SLEEP_NS};
      nanosleep(&pause, nullptr);
      return;
    }
    if (looks++ >= SPIN_COUNT) sched_yield();
  }
  static void done() { looks = 0; }

 private:
  static thread_local unsigned looks;
};
thread_local unsigned Ladder::looks = 0;

/* ---------------------------------------------------------------------------------------------
 * One writer, one reader.
 */
template <typename Item, memory_order Load, memory_order Store>
class Spsc {
 public:
  Spsc(uint32_t capacity, uint32_t credit_every)
      : items(new Item[capacity]()), mask(capacity - 1), credit_every(credit_every) {}

  /* Room for `wanted` at least, if there is so much. */
  uint32_t room(uint32_t wanted) {
    uint32_t noted = seen_read + mask + 1 - next_write;
    if (noted >= wanted) return noted;
    seen_read = read.load(Load);
    return seen_read + mask + 1 - next_write;
  }

  uint32_t available(uint32_t wanted) {
    uint32_t noted = seen_write - next_read;
    if (noted >= wanted) return noted;
    seen_write = write.load(Load);
    if (seen_write == next_read && credited != next_read) credit();
    return seen_write - next_read;
  }

  Item *claim() { return room(1) == 0 ? nullptr : &items[next_write & mask]; }
  void commit(uint32_t count) { write.store(next_write += count, Store); }
  Item *peek() { return available(1) == 0 ? nullptr : &items[next_read & mask]; }
  void release(uint32_t count) {
    next_read += count;
    if (next_read - credited >= credit_every) credit();
  }

  bool push(const Item &item) {
    Item *at = claim();
    if (at == nullptr) return false;
    *at = item;
    commit(1);
    return true;
  }

  bool pop(Item &item) {
    Item *at = peek();
    if (at == nullptr) return false;
    item = *at;
    release(1);
    return true;
  }

  uint32_t push_batch(const Item *from, uint32_t wanted) {
    uint32_t count = std::min(wanted, room(wanted));
    if (count == 0) return 0;
    uint32_t at = next_write & mask;
    uint32_t first = std::min(count, mask + 1 - at);
    memcpy(&items[at], from, first * sizeof(Item));
    memcpy(&items[0], from + first, (count - first) * sizeof(Item));
    commit(count);
    return count;
  }

  uint32_t pop_batch(Item *into, uint32_t wanted) {
    uint32_t count = std::min(wanted, available(wanted));
    if (count == 0) return 0;
    uint32_t at = next_read & mask;
    uint32_t first = std::min(count, mask + 1 - at);
    memcpy(into, &items[at], first * sizeof(Item));
    memcpy(into + first, &items[0], (count - first) * sizeof(Item));
    release(count);
    return count;
  }

 private:
  void credit() { read.store(credited = next_read, Store); }

  const std::unique_ptr<Item[]> items;
  const uint32_t mask;
  const uint32_t credit_every;
  alignas(LINE) std::atomic<uint32_t> write{0};
  alignas(LINE) uint32_t next_write = 0;
  uint32_t seen_read = 0;
  alignas(LINE) std::atomic<uint32_t> read{0};
  alignas(LINE) uint32_t next_read = 0;
  uint32_t seen_write = 0;
  uint32_t credited = 0;
  alignas(LINE) char end[LINE] = {};
};

/* ---------------------------------------------------------------------------------------------
 * Many writers, many readers: single items.
 */
template <memory_order Load, memory_order Store, memory_order Position>
class Vyukov {
 public:
  explicit Vyukov(uint32_t capacity) : cells(new Cell[capacity]), mask(capacity - 1) {
    for (uint32_t i = 0; i < capacity; i++) cells[i].seq.store(i, RELAXED);
  }

  bool push(double value) {
    uint32_t position = push_at.load(Position);
    for (;;) {
      Cell &cell = cells[position & mask];
      int32_t ahead = static_cast<int32_t>(cell.seq.load(Load) - position);
      if (ahead < 0) return false;
      if (ahead > 0) {
        position = push_at.load(Position);
      } else if (push_at.compare_exchange_weak(position, position + 1, Position)) {
        cell.value = value;
        cell.seq.store(position + 1, Store);
        return true;
      }
    }
  }

  bool pop(double &value) {
    uint32_t position = pop_at.load(Position);
    for (;;) {
      Cell &cell = cells[position & mask];
      int32_t ahead = static_cast<int32_t>(cell.seq.load(Load) - (position + 1));
      if (ahead < 0) return false;
      if (ahead > 0) {
        position = pop_at.load(Position);
      } else if (pop_at.compare_exchange_weak(position, position + 1, Position)) {
        value = cell.value;
        cell.seq.store(position + mask + 1, Store);
        return true;
      }
    }
  }

 private:
  struct Cell {
    std::atomic<uint32_t> seq;
    double value;
  };
  const std::unique_ptr<Cell[]> cells;
  const uint32_t mask;
  alignas(LINE) std::atomic<uint32_t> push_at{0};
  alignas(LINE) std::atomic<uint32_t> pop_at{0};
  alignas(LINE) char end[LINE] = {};
};

/* ---------------------------------------------------------------------------------------------
 * Many writers, many readers: batches. Who took a range before another publishes it before.
 */
template <typename Wait>
class HeadTail {
 public:
  explicit HeadTail(uint32_t capacity) : items(new double[capacity]()), mask(capacity - 1) {}

  uint32_t push_batch(const double *from, uint32_t wanted) {
    uint32_t head = push_head.load(ACQUIRE);
    uint32_t count;
    do {
      count = std::min(wanted, pop_tail.load(ACQUIRE) + mask + 1 - head);
      if (count == 0) return 0;
    } while (!push_head.compare_exchange_weak(head, head + count, ACQUIRE));
    uint32_t at = head & mask;
    uint32_t first = std::min(count, mask + 1 - at);
    memcpy(&items[at], from, first * sizeof(double));
    memcpy(&items[0], from + first, (count - first) * sizeof(double));
    while (push_tail.load(RELAXED) != head) Wait::wait();
    push_tail.store(head + count, RELEASE);
    return count;
  }

  uint32_t pop_batch(double *into, uint32_t wanted) {
    uint32_t head = pop_head.load(ACQUIRE);
    uint32_t count;
    do {
      count = std::min(wanted, push_tail.load(ACQUIRE) - head);
      if (count == 0) return 0;
    } while (!pop_head.compare_exchange_weak(head, head + count, ACQUIRE));
    uint32_t at = head & mask;
    uint32_t first = std::min(count, mask + 1 - at);
    memcpy(into, &items[at], first * sizeof(double));
    memcpy(into + first, &items[0], (count - first) * sizeof(double));
    while (pop_tail.load(RELAXED) != head) Wait::wait();
    pop_tail.store(head + count, RELEASE);
    return count;
  }

 private:
  const std::unique_ptr<double[]> items;
  const uint32_t mask;
  alignas(LINE) std::atomic<uint32_t> push_head{0};
  alignas(LINE) std::atomic<uint32_t> push_tail{0};
  alignas(LINE) std::atomic<uint32_t> pop_head{0};
  alignas(LINE) std::atomic<uint32_t> pop_tail{0};
  alignas(LINE) char end[LINE] = {};
};

/* ---------------------------------------------------------------------------------------------
 * Threads: what each does, and what it adds up to.
 */
using Role = std::function<double()>;

struct Team {
  std::vector<Role> roles;
  /* What the sums of all must be. */
  double expected = 0;
  std::shared_ptr<void> ring;
};

double sum_below(double items) { return items * (items - 1) / 2; }

template <typename Ring, typename Wait>
void add_single(Team &team, Ring &ring, uint64_t items, int producers, int consumers) {
  const uint64_t pushes = items / producers;
  const uint64_t pops = items / consumers;
  for (int i = 0; i < producers; i++) {
    team.roles.emplace_back([&ring, pushes, i] {
      const double first = static_cast<double>(pushes) * i;
      for (uint64_t k = 0; k < pushes; k++) {
        while (!ring.push(first + static_cast<double>(k))) Wait::wait();
        Wait::done();
      }
      return 0.0;
    });
  }
  for (int i = 0; i < consumers; i++) {
    team.roles.emplace_back([&ring, pops] {
      double sum = 0, value;
      for (uint64_t k = 0; k < pops; k++) {
        while (!ring.pop(value)) Wait::wait();
        Wait::done();
        sum += value;
      }
      return sum;
    });
  }
  team.expected += sum_below(static_cast<double>(items));
}

template <typename Ring, typename Wait>
void add_batch(Team &team, Ring &ring, uint64_t items, uint32_t batch, int producers,
               int consumers) {
  const uint64_t pushes = items / producers;
  const uint64_t pops = items / consumers;
  for (int i = 0; i < producers; i++) {
    team.roles.emplace_back([&ring, pushes, batch, i] {
      std::vector<double> values(batch);
      double next = static_cast<double>(pushes) * i;
      for (uint64_t done = 0; done < pushes;) {
        uint32_t count = static_cast<uint32_t>(std::min<uint64_t>(batch, pushes - done));
        for (uint32_t k = 0; k < count; k++) values[k] = next++;
        for (uint32_t sent = 0; sent < count;) {
          uint32_t got = ring.push_batch(&values[sent], count - sent);
          if (got == 0) Wait::wait();
          else Wait::done();
          sent += got;
        }
        done += count;
      }
      return 0.0;
    });
  }
  for (int i = 0; i < consumers; i++) {
    team.roles.emplace_back([&ring, pops, batch] {
      std::vector<double> values(batch);
      double sum = 0;
      for (uint64_t done = 0; done < pops;) {
        uint64_t wanted = std::min<uint64_t>(batch, pops - done);
        uint32_t got = ring.pop_batch(values.data(), static_cast<uint32_t>(wanted));
        if (got == 0) Wait::wait();
        else Wait::done();
        for (uint32_t k = 0; k < got; k++) sum += values[k];
        done += got;
      }
      return sum;
    });
  }
  team.expected += sum_below(static_cast<double>(items));
}

template <typename Ring>
Ring &own(Team &team, std::shared_ptr<Ring> ring) {
  team.ring = ring;
  return *ring;
}

template <memory_order Load, memory_order Store>
Team spsc_single(uint64_t items, uint32_t credit_every) {
  using Ring = Spsc<double, Load, Store>;
  Team team;
  add_single<Ring, Spin>(team, own(team, std::make_shared<Ring>(CAPACITY, credit_every)), items, 1,
                         1);
  return team;
}

template <memory_order Load, memory_order Store>
Team spsc_batch(uint64_t items, uint32_t batch) {
  using Ring = Spsc<double, Load, Store>;
  Team team;
  add_batch<Ring, Spin>(team, own(team, std::make_shared<Ring>(CAPACITY, CAPACITY / 8)), items,
                        batch, 1, 1);
  return team;
}

struct Record {
  double fields[8];
};

Team spsc_record(uint64_t items) {
  using Ring = Spsc<Record, ACQUIRE, RELEASE>;
  Team team;
  Ring &ring = own(team, std::make_shared<Ring>(RECORD_CAPACITY, RECORD_CAPACITY / 8));
  team.roles.emplace_back([&ring, items] {
    double next = 0;
    for (uint64_t k = 0; k < items; k++) {
      Record *record;
      while ((record = ring.claim()) == nullptr) Spin::wait();
      for (double &field : record->fields) field = next++;
      ring.commit(1);
    }
    return 0.0;
  });
  team.roles.emplace_back([&ring, items] {
    double sum = 0;
    for (uint64_t k = 0; k < items; k++) {
      Record *record;
      while ((record = ring.peek()) == nullptr) Spin::wait();
      for (double field : record->fields) sum += field;
      ring.release(1);
    }
    return sum;
  });
  team.expected = sum_below(static_cast<double>(items) * 8);
  return team;
}

/* The producer writes every item of a page, the consumer adds every item up and gives the page
 * back; what goes through the rings is its index. Rings for twice the pages: what is read and not
 * given back never fills them. */
struct PageRings {
  Spsc<uint32_t, ACQUIRE, RELEASE> filled{2 * PAGE_COUNT, PAGE_COUNT / 4};
  Spsc<uint32_t, ACQUIRE, RELEASE> empty{2 * PAGE_COUNT, PAGE_COUNT / 4};
  std::vector<double> pages = std::vector<double>(size_t{PAGE_COUNT} * PAGE_ITEMS);
};

Team spsc_pages(uint64_t items) {
  Team team;
  PageRings &rings = own(team, std::make_shared<PageRings>());
  for (uint32_t page = 0; page < PAGE_COUNT; page++) rings.empty.push(page);
  team.roles.emplace_back([&rings, items] {
    double next = 0;
    for (uint64_t k = 0; k < items; k++) {
      uint32_t page;
      while (!rings.empty.pop(page)) Spin::wait();
      double *at = &rings.pages[size_t{page} * PAGE_ITEMS];
      for (uint32_t i = 0; i < PAGE_ITEMS; i++) at[i] = next++;
      while (!rings.filled.push(page)) Spin::wait();
    }
    return 0.0;
  });
  team.roles.emplace_back([&rings, items] {
    double sum = 0;
    for (uint64_t k = 0; k < items; k++) {
      uint32_t page;
      while (!rings.filled.pop(page)) Spin::wait();
      const double *at = &rings.pages[size_t{page} * PAGE_ITEMS];
      for (uint32_t i = 0; i < PAGE_ITEMS; i++) sum += at[i];
      while (!rings.empty.push(page)) Spin::wait();
    }
    return sum;
  });
  team.expected = sum_below(static_cast<double>(items) * PAGE_ITEMS);
  return team;
}

template <memory_order Load, memory_order Store, memory_order Position, typename Wait>
Team mpmc_single(uint64_t items, int each) {
  using Ring = Vyukov<Load, Store, Position>;
  Team team;
  add_single<Ring, Wait>(team, own(team, std::make_shared<Ring>(CAPACITY)), items, each, each);
  return team;
}

template <typename Wait>
Team mpmc_batch(uint64_t items, uint32_t batch, int each) {
  using Ring = HeadTail<Wait>;
  Team team;
  add_batch<Ring, Wait>(team, own(team, std::make_shared<Ring>(CAPACITY)), items, batch, each,
                        each);
  return team;
}

struct Words {
  alignas(LINE) std::atomic<uint32_t> there{0};
  alignas(LINE) std::atomic<uint32_t> back{0};
  alignas(LINE) char end[LINE] = {};
};

void futex_await(std::atomic<uint32_t> &word, uint32_t wanted) {
  for (;;) {
    uint32_t found = word.load(SEQ_CST);
    if (found == wanted) return;
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, found, nullptr, nullptr, 0);
  }
}

void futex_set(std::atomic<uint32_t> &word, uint32_t value) {
  word.store(value, SEQ_CST);
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

/* There and back, `items` times: over loads alone, or asleep in between. */
Team round_trip(uint64_t items, bool sleeps) {
  Team team;
  Words &words = own(team, std::make_shared<Words>());
  const uint32_t last = static_cast<uint32_t>(items);
  team.roles.emplace_back([&words, last, sleeps] {
    for (uint32_t k = 1; k <= last; k++) {
      if (sleeps) {
        futex_set(words.there, k);
        futex_await(words.back, k);
      } else {
        words.there.store(k, RELEASE);
        while (words.back.load(ACQUIRE) != k) Spin::wait();
      }
    }
    return 0.0;
  });
  team.roles.emplace_back([&words, last, sleeps] {
    for (uint32_t k = 1; k <= last; k++) {
      if (sleeps) {
        futex_await(words.there, k);
        futex_set(words.back, k);
      } else {
        while (words.there.load(ACQUIRE) != k) Spin::wait();
        words.back.store(k, RELEASE);
      }
    }
    return 0.0;
  });
  return team;
}

constexpr uint32_t EAGER = 1;
constexpr uint32_t LAZY = CAPACITY / 8;

Team make_team(const std::string &name, uint64_t items) {
  if (name == "spsc-single-seq-cst") return spsc_single<SEQ_CST, SEQ_CST>(items, LAZY);
  if (name == "spsc-single-seq-cst-eager") return spsc_single<SEQ_CST, SEQ_CST>(items, EAGER);
  if (name == "spsc-single") return spsc_single<ACQUIRE, RELEASE>(items, LAZY);
  if (name == "spsc-batch-1") return spsc_batch<ACQUIRE, RELEASE>(items, 1);
  if (name == "spsc-batch-64") return spsc_batch<ACQUIRE, RELEASE>(items, 64);
  if (name == "spsc-batch-512") return spsc_batch<ACQUIRE, RELEASE>(items, 512);
  if (name == "spsc-record") return spsc_record(items);
  if (name == "spsc-pages") return spsc_pages(items);
  if (name == "mpmc-single-1x1") return mpmc_single<ACQUIRE, RELEASE, RELAXED, Spin>(items, 1);
  if (name == "mpmc-single-2x2") return mpmc_single<ACQUIRE, RELEASE, RELAXED, Ladder>(items, 2);
  if (name == "mpmc-single-seq-cst-1x1") {
    return mpmc_single<SEQ_CST, SEQ_CST, SEQ_CST, Spin>(items, 1);
  }
  if (name == "mpmc-single-seq-cst-2x2") {
    return mpmc_single<SEQ_CST, SEQ_CST, SEQ_CST, Ladder>(items, 2);
  }
  if (name == "mpmc-batch-32-1x1") return mpmc_batch<Spin>(items, 32, 1);
  if (name == "mpmc-batch-32-2x2") return mpmc_batch<Ladder>(items, 32, 2);
  if (name == "round-trip-spin") return round_trip(items, false);
  if (name == "round-trip-futex") return round_trip(items, true);
  return {};
}

struct Result {
  int64_t started = 0;
  int64_t ended = 0;
  long switched = 0;
  double sum = 0;
};

void run_role(const Role &role, int cpu, bool fifo, std::atomic<size_t> &arrived, size_t count,
              Result &result) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0) {
    fprintf(stderr, "cannot pin a thread to CPU %d\n", cpu);
    exit(1);
  }
  if (fifo) set_fifo(0, true);
  arrived.fetch_add(1);
  while (arrived.load() < count) {
    if (!fifo) sched_yield();
  }
  const long before = switches();
  result.started = now_ns();
  result.sum = role();
  result.ended = now_ns();
  result.switched = switches() - before;
}

/* Where results stand must not lie on one line with those of another thread. */
struct alignas(LINE) Place : Result {};

int run(const std::string &name, uint64_t items, const std::vector<int> &cpus, bool fifo) {
  Team team = make_team(name, items);
  const size_t count = team.roles.size();
  if (count == 0 || cpus.size() < count) {
    fprintf(stderr, "no case %s, or fewer CPUs named than it has threads\n", name.c_str());
    return 1;
  }
  std::vector<Place> results(count);
  std::vector<std::thread> threads;
  std::atomic<size_t> arrived{0};
  for (size_t i = 0; i < count; i++) {
    threads.emplace_back([&, i] {
      run_role(team.roles[i], cpus[i], fifo, arrived, count, results[i]);
    });
  }
  for (std::thread &thread : threads) thread.join();
  int64_t started = results[0].started, ended = results[0].ended;
  long switched = 0;
  double sum = 0;
  for (const Place &result : results) {
    started = std::min(started, result.started);
    ended = std::max(ended, result.ended);
    switched += result.switched;
    sum += result.sum;
  }
  if (sum != team.expected) {
    fprintf(stderr, "%s: the sum is %.0f, not %.0f\n", name.c_str(), sum, team.expected);
    return 1;
  }
  printf("{\"ns\":%lld,\"switches\":%ld}\n", static_cast<long long>(ended - started), switched);
  return 0;
}

}  // namespace

int main() {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    if (verb == "run") {
      std::string name, list, part;
      uint64_t items;
      int fifo;
      words >> name >> items >> list >> fifo;
      std::vector<int> cpus;
      std::istringstream parts(list);
      while (std::getline(parts, part, ',')) cpus.push_back(std::stoi(part));
      if (run(name, items, cpus, fifo != 0) != 0) return 1;
    } else if (verb == "fifo") {
      int on;
      pid_t tid;
      bool ok = true;
      words >> on;
      while (words >> tid) ok = set_fifo(tid, on != 0) && ok;
      printf("{\"ok\":%s}\n", ok ? "true" : "false");
    } else {
      fprintf(stderr, "no such request: %s\n", line.c_str());
      return 1;
    }
  }
  return 0;
}
