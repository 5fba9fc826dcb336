// The daemon dies, and a whole fleet comes back at once through its door.

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "advisor/v1/plan.grpc.pb.h"
#include "advisor/v1/report.grpc.pb.h"
#include "client/agent/backoff.h"
#include "client/channel.h"
#include "proto/convert/plan.h"
#include "proto/convert/status.h"
#include "tests/bench/load/bench.h"
#include "tests/bench/load/reporters.h"
#include "tests/bench/load/server_process.h"

namespace advisor::bench {
namespace {

struct Event {
  int member;
  bool in;               // answered; else the stream has ended
  absl::Duration asked;  // what the daemon said to wait, where it has ended
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

// A placement is received, or the daemon gives the subscriber up.
std::optional<v1::SubscribeRequest> Answer(const v1::SubscribeResponse& response) {
  if (!response.has_placement()) {
    return std::nullopt;
  }
  v1::SubscribeRequest request;
  request.mutable_ack()->set_subject(v1::Ack::SUBJECT_PLACEMENT);
  request.mutable_ack()->set_phase(v1::Ack::RECEIVED);
  *request.mutable_ack()->mutable_position() = response.placement().position();
  return request;
}
std::optional<v1::ReportRequest> Answer(const v1::ReportResponse&) { return std::nullopt; }

// One stream of a member: says hello, tells when it is answered and when it ends.
template <typename Request, typename Response>
class Attempt final : public grpc::ClientBidiReactor<Request, Response> {
 public:
  Attempt(int member, Request hello, Events* events)
      : member_(member), events_(events), next_(std::move(hello)) {}
  // `open` binds a call to a context and a reactor.
  template <typename Open>
  void Begin(Open open) {
    open(&context_, this);
    WriteIfIdle();
    this->StartRead(&response_);
    this->StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) {
      return;
    }
    if (!std::exchange(answered_, true)) {
      events_->Tell({member_, true, {}});
    }
    if (auto answer = Answer(response_)) {
      std::lock_guard<std::mutex> lock(mutex_);
      next_ = std::move(answer);
      WriteIfIdle();
    }
    this->StartRead(&response_);
  }
  void OnWriteDone(bool) override {
    std::lock_guard<std::mutex> lock(mutex_);
    writing_ = false;
    WriteIfIdle();
  }
  void OnDone(const grpc::Status& status) override {
    events_->Tell({member_, false, RetryDelayOf(FromGrpc(status))});
    delete this;
  }

 private:
  void WriteIfIdle() {
    if (!writing_ && next_.has_value()) {
      writing_ = true;
      request_ = *std::exchange(next_, std::nullopt);
      this->StartWrite(&request_);
    }
  }

  const int member_;
  Events* const events_;
  grpc::ClientContext context_;
  Response response_;
  bool answered_ = false;
  std::mutex mutex_;
  std::optional<Request> next_;  // guarded by mutex_, like all below
  Request request_;
  bool writing_ = false;
};

// How busy a server is, second by second.
class CpuWatch {
 public:
  explicit CpuWatch(const ServerProcess& server)
      : server_(server), since_(Now()), cpu_(server.CpuSeconds()) {}

  // To be called about once a second or more often.
  void Look() {
    const double seconds = Seconds(since_, Now());
    if (seconds < 1) {
      return;
    }
    const double cpu = server_.CpuSeconds(), cores = (cpu - cpu_) / seconds;
    most_ = std::max(most_, cores);
    spell_ = cores > 0.9 * std::thread::hardware_concurrency() ? spell_ + seconds : 0;
    longest_spell_ = std::max(longest_spell_, spell_);
    since_ = Now();
    cpu_ = cpu;
  }
  double most() const { return most_; }                    // cores, of any second
  double longest_spell() const { return longest_spell_; }  // seconds above 90 % of all cores

 private:
  const ServerProcess& server_;
  Time since_;
  double cpu_, spell_ = 0, most_ = 0, longest_spell_ = 0;
};

// 5,000 subscribers and 1,000 reporters, each with a connection of its own, that come back by
// themselves as agents do.
class Herd {
 public:
  static constexpr int kSubscribers = 5000, kMembers = 6000;

  explicit Herd(const std::string& address) : members_(kMembers) {
    for (int m = 0; m < kMembers; ++m) {
      grpc::ChannelArguments arguments = client::ChannelArgumentsFor({});
      arguments.SetInt("connection", m);  // of its own
      members_[m].channel =
          grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
      members_[m].backoff = client::Backoff(absl::Seconds(1), absl::Seconds(60), m + 1);
      due_.push({Now(), m});
    }
  }
  int in() const { return in_; }
  int attempts() const { return attempts_; }

  // Works until at least so many members are in; returns whether they came in within five minutes.
  bool RunUntilIn(int wanted, CpuWatch* watch = nullptr) {
    return RunUntil([this, wanted] { return in_ >= wanted; }, watch);
  }
  bool RunUntilNoneIsIn() {
    return RunUntil([this] { return in_ == 0; }, nullptr);
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
  bool RunUntil(const std::function<bool()>& done, CpuWatch* watch) {
    const Time end = Now() + std::chrono::minutes(5);
    while (!done() && Now() < end) {
      while (!due_.empty() && due_.top().first <= Now()) {
        Open(due_.top().second);
        due_.pop();
      }
      const Time pause = Now() + std::chrono::milliseconds(100);
      for (const Event& event :
           events_.Take(due_.empty() ? pause : std::min(pause, due_.top().first))) {
        Handle(event);
      }
      if (watch != nullptr) {
        watch->Look();
      }
    }
    return done();
  }

  struct Member {
    std::shared_ptr<grpc::Channel> channel;
    client::Backoff backoff{absl::Seconds(1), absl::Seconds(60), 0};
    Time opened;
    bool in = false;
  };

  void Open(int number) {
    Member& member = members_[number];
    member.opened = Now();
    ++open_;
    ++attempts_;
    if (number < kSubscribers) {
      SubscriberHello hello;
      hello.deployment = "bench";
      hello.subscriber_id = absl::StrCat("s-", number);
      hello.incarnation = {1, 1};
      v1::SubscribeRequest request;
      *request.mutable_hello() = ToProto(hello);
      auto* attempt =
          new Attempt<v1::SubscribeRequest, v1::SubscribeResponse>(number, request, &events_);
      attempt->Begin(
          [stub = v1::PlanService::NewStub(member.channel)](auto* context, auto* reactor) {
            stub->async()->Subscribe(context, reactor);
          });
    } else {
      auto* attempt =
          new Attempt<v1::ReportRequest, v1::ReportResponse>(number, MakeHello(number), &events_);
      attempt->Begin(
          [stub = v1::ReportService::NewStub(member.channel)](auto* context, auto* reactor) {
            stub->async()->Report(context, reactor);
          });
    }
  }
  void Handle(const Event& event) {
    Member& member = members_[event.member];
    if (event.in) {
      member.in = true;
      ++in_;
      return;
    }
    --open_;
    in_ -= std::exchange(member.in, false) ? 1 : 0;
    if (!stopping_) {
      const absl::Duration lived = absl::FromChrono(Now() - member.opened);
      const absl::Duration pause = member.backoff.Next(lived, event.asked);
      due_.push({Now() + absl::ToChronoNanoseconds(pause), event.member});
    }
  }

  using Due = std::pair<Time, int>;
  Events events_;
  std::vector<Member> members_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  int in_ = 0, open_ = 0, attempts_ = 0;
  bool stopping_ = false;
};

}  // namespace

void BenchHerd(const Programs& programs, Results* results) {
  const DaemonFolder folder(Mode::kAdvisory, "", "");  // the door as it is by default
  folder.StorePlans(false, false);
  auto daemon = std::make_unique<ServerProcess>(folder.Command(programs));
  const std::string address = daemon->address();
  Herd herd(address);
  if (!herd.RunUntilIn(Herd::kMembers)) {
    Die(absl::StrCat("only ", herd.in(), " of the herd came in at all"));
  }
  daemon->Kill();
  if (!herd.RunUntilNoneIsIn()) {
    Die("streams outlived the daemon");
  }
  const Time begin = Now();
  const int attempts = herd.attempts();
  std::vector<std::string> command = folder.Command(programs);
  command.insert(command.end(), {"--listen", address});
  daemon = std::make_unique<ServerProcess>(command);
  CpuWatch watch(*daemon);
  const bool nearly = herd.RunUntilIn(Herd::kMembers * 99 / 100, &watch);
  const double most = Seconds(begin, Now());
  const bool whole = herd.RunUntilIn(Herd::kMembers, &watch);
  const double all = Seconds(begin, Now());
  if (!nearly || !whole) {
    Die(absl::StrCat("only ", herd.in(), " of the herd are back after five minutes"));
  }
  const std::string row = "5,000 subscribers and 1,000 reporters come back at once";
  results->Add(row, "99 % are in after", "s", most);
  results->Add(row, "all are in after", "s", all);
  results->Add(row, "streams opened for one that is let in", "",
               double(herd.attempts() - attempts) / Herd::kMembers);
  results->Add(row, "daemon CPU", "cores", daemon->CpuSeconds() / all);
  results->Add(row, "daemon CPU, busiest second", "cores", watch.most());
  results->Add(row, "daemon above 90 % of all cores", "s at a stretch", watch.longest_spell());
  results->Add(row, "daemon memory, peak", "MB", daemon->PeakKilobytes() / 1e3);
  daemon->Kill();
  herd.AwaitEnd();
}

}  // namespace advisor::bench
