// The daemon dies, and a whole fleet comes back at once through its door.

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "advisor/v1/plan.grpc.pb.h"
#include "advisor/v1/report.grpc.pb.h"
#include "client/agent/backoff.h"
#include "proto/convert/limits.h"
#include "proto/convert/plan.h"
#include "tests/bench/load/bench.h"
#include "tests/bench/load/reporters.h"
#include "tests/bench/load/server_process.h"

namespace advisor::bench {
namespace {

struct Event {
  int member;
  bool in;  // answered; else the stream has ended
};

// What the members have to tell, for one thread to work off.
class Events {
 public:
  void Tell(Event event) {
    std::lock_guard<std::mutex> lock(mutex_);
    events_.push_back(event);
    change_.notify_one();
  }
  std::vector<Event> Take(Time until) {
    std::unique_lock<std::mutex> lock(mutex_);
    change_.wait_until(lock, until, [this] { return !events_.empty(); });
    return std::exchange(events_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable change_;
  std::vector<Event> events_;
};

// One stream of a member: says hello, tells when it is answered and when it ends.
template <typename Request, typename Response>
class Attempt final : public grpc::ClientBidiReactor<Request, Response> {
 public:
  Attempt(int member, Request hello, Events* events)
      : member_(member), hello_(std::move(hello)), events_(events) {}
  // `open` binds a call to a context and a reactor.
  template <typename Open>
  void Begin(Open open) {
    open(&context_, this);
    this->StartWrite(&hello_);
    this->StartRead(&response_);
    this->StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) {
      return;
    }
    if (!std::exchange(answered_, true)) {
      events_->Tell({member_, true});
    }
    this->StartRead(&response_);
  }
  void OnDone(const grpc::Status&) override {
    events_->Tell({member_, false});
    delete this;
  }

 private:
  const int member_;
  const Request hello_;
  Events* const events_;
  grpc::ClientContext context_;
  Response response_;
  bool answered_ = false;
};

// 5,000 subscribers and 1,000 reporters, each with a connection of its own, that come back by
// themselves as agents do.
class Herd {
 public:
  static constexpr int kSubscribers = 5000, kMembers = 6000;

  // The address is the one that the next attempts go to.
  explicit Herd(std::string address) : address_(std::move(address)), in_(kMembers, false) {
    for (int m = 0; m < kMembers; ++m) {
      backoffs_.emplace_back(absl::Seconds(1), absl::Seconds(60), m + 1);
      due_.push({Now(), m});
    }
  }
  void set_address(std::string address) { address_ = std::move(address); }
  int in() const { return in_count_; }

  // Works until so many members are in, or none is; returns whether it came to that in time.
  bool RunUntil(int wanted, double patience) {
    const Time end = Now() + std::chrono::microseconds(static_cast<int64_t>(patience * 1e6));
    while (in_count_ != wanted && Now() < end) {
      while (!due_.empty() && due_.top().first <= Now()) {
        Open(due_.top().second);
        due_.pop();
      }
      for (const Event& event :
           events_.Take(due_.empty() ? end : std::min(end, due_.top().first))) {
        Handle(event);
      }
    }
    return in_count_ == wanted;
  }
  // Drops what is due and waits until all streams that are open have ended.
  void AwaitEnd() {
    due_ = {};
    stopping_ = true;
    while (open_ > 0) {
      for (const Event& event : events_.Take(Now() + std::chrono::seconds(1))) {
        Handle(event);
      }
    }
  }

 private:
  void Open(int member) {
    grpc::ChannelArguments arguments;
    arguments.SetInt("connection", member);
    arguments.SetMaxReceiveMessageSize(kMaxResponseBytes);
    const auto channel =
        grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
    ++open_;
    if (member < kSubscribers) {
      SubscriberHello hello;
      hello.deployment = "bench";
      hello.subscriber_id = absl::StrCat("s-", member);
      hello.incarnation = {1, 1};
      v1::SubscribeRequest request;
      *request.mutable_hello() = ToProto(hello);
      auto* attempt =
          new Attempt<v1::SubscribeRequest, v1::SubscribeResponse>(member, request, &events_);
      attempt->Begin([stub = v1::PlanService::NewStub(channel)](auto* context, auto* reactor) {
        stub->async()->Subscribe(context, reactor);
      });
    } else {
      auto* attempt =
          new Attempt<v1::ReportRequest, v1::ReportResponse>(member, MakeHello(member), &events_);
      attempt->Begin([stub = v1::ReportService::NewStub(channel)](auto* context, auto* reactor) {
        stub->async()->Report(context, reactor);
      });
    }
  }
  void Handle(const Event& event) {
    if (event.in) {
      in_[event.member] = true;
      ++in_count_;
      return;
    }
    --open_;
    in_count_ -= in_[event.member] ? 1 : 0;
    in_[event.member] = false;
    if (!stopping_) {
      const absl::Duration pause = backoffs_[event.member].Next(absl::ZeroDuration());
      due_.push({Now() + absl::ToChronoNanoseconds(pause), event.member});
    }
  }

  using Due = std::pair<Time, int>;
  std::string address_;
  Events events_;
  std::vector<client::Backoff> backoffs_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::vector<bool> in_;
  int in_count_ = 0, open_ = 0;
  bool stopping_ = false;
};

}  // namespace

void BenchHerd(const Programs& programs, Results* results) {
  const DaemonFolder folder(Mode::kAdvisory, "", "");  // the door as it is by default
  folder.StorePlans(false, false);
  auto daemon = std::make_unique<ServerProcess>(folder.Command(programs));
  Herd herd(daemon->address());
  if (!herd.RunUntil(Herd::kMembers, 300)) {
    Die(absl::StrCat("only ", herd.in(), " of the herd came in at all"));
  }
  daemon->Kill();
  if (!herd.RunUntil(0, 60)) {
    Die("streams outlived the daemon");
  }
  const Time begin = Now();
  daemon = std::make_unique<ServerProcess>(folder.Command(programs));
  herd.set_address(daemon->address());
  const bool nearly = herd.RunUntil(Herd::kMembers * 99 / 100, 300);
  const double most = Seconds(begin, Now());
  const bool whole = herd.RunUntil(Herd::kMembers, 300);
  const double all = Seconds(begin, Now());
  if (!nearly || !whole) {
    Die("the herd is not back after five minutes");
  }
  const std::string row = "5,000 subscribers and 1,000 reporters come back at once";
  results->Add(row, "99 % are in after", "s", most);
  results->Add(row, "all are in after", "s", all);
  results->Add(row, "daemon CPU", "cores", daemon->CpuSeconds() / all);
  results->Add(row, "daemon memory, peak", "MB", daemon->PeakKilobytes() / 1e3);
  daemon->Kill();
  herd.AwaitEnd();
}

}  // namespace advisor::bench
