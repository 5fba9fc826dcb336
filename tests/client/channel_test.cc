#include "client/channel.h"

#include <grpc/grpc.h>

#include <cstring>
#include <optional>

#include "gtest/gtest.h"

namespace advisor::client {
namespace {

std::optional<int> Argument(const grpc::ChannelArguments& arguments, const char* key) {
  const grpc_channel_args args = arguments.c_channel_args();
  for (size_t i = 0; i < args.num_args; ++i) {
    if (std::strcmp(args.args[i].key, key) == 0) {
      return args.args[i].value.integer;
    }
  }
  return std::nullopt;
}

// However eagerly it tries again: with half a second a fleet that came back at once never got in.
TEST(ChannelTest, ABusyDaemonHasTimeToAnswerAConnection) {
  ChannelOptions options;
  options.reconnect_min = absl::Milliseconds(10);
  EXPECT_EQ(Argument(ChannelArgumentsFor(options), GRPC_ARG_MIN_RECONNECT_BACKOFF_MS), 10'000);
}

TEST(ChannelTest, OwnBackoffIsNotHeldUpByTheChannels) {
  const grpc::ChannelArguments arguments = ChannelArgumentsFor({});
  EXPECT_EQ(Argument(arguments, GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS), 500);
  EXPECT_EQ(Argument(arguments, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS), 30'000);
}

}  // namespace
}  // namespace advisor::client
