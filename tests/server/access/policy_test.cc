#include "server/access/policy.h"

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace advisor::server {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

const Peer kAgent{"spiffe://prod/agent/node-0", "ipv4:10.0.0.1:5"};
const Peer kOperator{"operator", ""};
const Peer kStranger{"spiffe://other/agent/node-0", ""};

AccessPolicy Policy() {
  return AccessPolicy(
      true, {{"spiffe://prod/agent/*", {Right::kReporter, Right::kSubscriber}, {"chat"}, false},
             {"spiffe://prod/gateway/*", {Right::kReporter}, {}, true},
             {"operator", {Right::kAdmin}, {}, false}});
}

TEST(NameOfTest, IsTheLastPartOfASpiffeId) {
  EXPECT_EQ(NameOf("spiffe://prod/agent/node-0"), "node-0");
  EXPECT_EQ(NameOf("a/b"), "a/b");
}

TEST(AccessPolicyTest, EveryRightIsGivenByARule) {
  const AccessPolicy policy = Policy();
  EXPECT_THAT(policy.Check(kAgent, Right::kReporter, "chat", "node-0"), IsOk());
  EXPECT_THAT(policy.Check(kAgent, Right::kSubscriber, "chat", "node-0"), IsOk());
  EXPECT_THAT(policy.Check(kOperator, Right::kAdmin, "", ""), IsOk());
  for (const Right right : {Right::kRouter, Right::kAdmin}) {
    EXPECT_THAT(policy.Check(kAgent, right, "chat", ""),
                StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("NOT_ALLOWED")));
  }
  EXPECT_THAT(policy.Check(kOperator, Right::kReporter, "chat", "operator"),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("reporter")));
}

TEST(AccessPolicyTest, ANameMustBeThePeersOwn) {
  const AccessPolicy policy = Policy();
  EXPECT_THAT(policy.Check(kAgent, Right::kReporter, "chat", "node-1"),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("IDENTITY_MISMATCH")));
  const Peer gateway{"spiffe://prod/gateway/g", ""};
  EXPECT_THAT(policy.Check(gateway, Right::kReporter, "chat", "node-1"), IsOk());
  EXPECT_TRUE(policy.SpeaksForMany(gateway));
  EXPECT_FALSE(policy.SpeaksForMany(kAgent));
}

TEST(AccessPolicyTest, OtherDeploymentsAndTrustDomainsAreClosed) {
  const AccessPolicy policy = Policy();
  EXPECT_THAT(policy.Check(kAgent, Right::kReporter, "mail", "node-0"),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("deployment mail")));
  EXPECT_THAT(policy.Check(kStranger, Right::kReporter, "chat", "node-0"),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("spiffe://other")));
}

TEST(AccessPolicyTest, WithoutTlsEverybodyMay) {
  EXPECT_THAT(AccessPolicy(false, {}).Check({"", "ipv4:127.0.0.1:9"}, Right::kAdmin, "chat", ""),
              IsOk());
}

}  // namespace
}  // namespace advisor::server
