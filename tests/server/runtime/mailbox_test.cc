#include "server/runtime/mailbox.h"

#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace advisor::server {
namespace {

using std::chrono::steady_clock;
const auto kForever = std::chrono::hours(1);

template <typename T>
bool Pop(Mailbox<T>& mailbox, std::vector<T>* out) {
  mailbox.Wait(steady_clock::now() + kForever);
  return mailbox.Take(out);
}

MailboxLimits Small() { return {.reports = 2, .report_bytes = 100, .control = 1}; }

TEST(MailboxTest, KeepsTheOrderAcrossLanes) {
  Mailbox<std::string> mailbox(Small());
  EXPECT_TRUE(mailbox.Push(Lane::kControl, 0, "a"));
  EXPECT_TRUE(mailbox.Push(Lane::kReports, 1, "b"));
  EXPECT_TRUE(mailbox.Push(Lane::kInternal, 0, "c"));
  std::vector<std::string> out;
  EXPECT_TRUE(Pop(mailbox, &out));
  EXPECT_EQ(out, (std::vector<std::string>{"a", "b", "c"}));
}

TEST(MailboxTest, RefusesByLaneAndCounts) {
  Mailbox<int> mailbox(Small());
  EXPECT_TRUE(mailbox.Push(Lane::kReports, 1, 1));
  EXPECT_TRUE(mailbox.Push(Lane::kReports, 1, 2));
  EXPECT_FALSE(mailbox.Push(Lane::kReports, 1, 3));
  EXPECT_TRUE(mailbox.Push(Lane::kControl, 0, 4));
  EXPECT_FALSE(mailbox.Push(Lane::kControl, 0, 5));
  EXPECT_FALSE(mailbox.Push(Lane::kControl, 0, 6));
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(mailbox.Push(Lane::kInternal, 0, i));
  }
  EXPECT_EQ(mailbox.refused(), (std::array<uint64_t, 3>{1, 2, 0}));
  std::vector<int> out;
  Pop(mailbox, &out);
  EXPECT_EQ(out.size(), 103u);
  EXPECT_TRUE(mailbox.Push(Lane::kReports, 1, 7));  // room again
}

TEST(MailboxTest, BoundsTheBytesOfReports) {
  Mailbox<int> mailbox(Small());
  EXPECT_TRUE(mailbox.Push(Lane::kReports, 1000, 1));  // one is always taken
  EXPECT_FALSE(mailbox.Push(Lane::kReports, 1, 2));
}

TEST(MailboxTest, ReturnsAtTheDeadlineWithNothing) {
  Mailbox<int> mailbox(Small());
  std::vector<int> out = {1};
  mailbox.Wait(steady_clock::now());
  EXPECT_TRUE(mailbox.Take(&out));
  EXPECT_TRUE(out.empty());
}

TEST(MailboxTest, IsIdleWhileOpenAndEmpty) {
  Mailbox<int> mailbox(Small());
  EXPECT_TRUE(mailbox.IsIdle());
  mailbox.Push(Lane::kControl, 0, 1);
  EXPECT_FALSE(mailbox.IsIdle());
  std::vector<int> out;
  mailbox.Take(&out);
  EXPECT_TRUE(mailbox.IsIdle());
  mailbox.Close();
  EXPECT_FALSE(mailbox.IsIdle());
}

TEST(MailboxTest, DeliversWhatIsInWhenClosed) {
  Mailbox<int> mailbox(Small());
  mailbox.Push(Lane::kControl, 0, 1);
  mailbox.Close();
  EXPECT_FALSE(mailbox.Push(Lane::kReports, 0, 2));
  EXPECT_TRUE(mailbox.Push(Lane::kInternal, 0, 3));
  std::vector<int> out;
  EXPECT_TRUE(Pop(mailbox, &out));
  EXPECT_EQ(out, (std::vector<int>{1, 3}));
  EXPECT_FALSE(Pop(mailbox, &out));
  EXPECT_FALSE(mailbox.Push(Lane::kInternal, 0, 4));
}

TEST(MailboxTest, LosesNothingUnderManySenders) {
  Mailbox<int> mailbox({.reports = 1 << 20, .report_bytes = 1 << 20, .control = 0});
  constexpr int kSenders = 4, kEach = 5000;
  std::vector<std::thread> senders;
  for (int s = 0; s < kSenders; ++s) {
    senders.emplace_back([&, s] {
      for (int i = 0; i < kEach; ++i) {
        mailbox.Push(Lane::kReports, 1, s * kEach + i);
      }
    });
  }
  std::vector<int> next(kSenders), out;
  for (int got = 0; got < kSenders * kEach; got += static_cast<int>(out.size())) {
    ASSERT_TRUE(Pop(mailbox, &out));
    for (const int value : out) {
      EXPECT_EQ(value % kEach, next[value / kEach]++);  // in order per sender
    }
  }
  for (std::thread& sender : senders) {
    sender.join();
  }
}

}  // namespace
}  // namespace advisor::server
