#include "server/observe/http_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace advisor::server {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing::StatusIs;

// Sends `request` to the port and returns all that comes back.
std::string Exchange(int port, const std::string& request) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(send(fd, request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t n = recv(fd, buffer, sizeof(buffer), 0); n > 0;
       n = recv(fd, buffer, sizeof(buffer), 0)) {
    answer.append(buffer, n);
  }
  close(fd);
  return answer;
}

TEST(HttpServerTest, AnswersGetAndHeadOnly) {
  ASSERT_OK_AND_ASSIGN(
      const auto server, HttpServer::Start("127.0.0.1:0", [](const std::string& path) {
        return HttpResponse{path == "/a" ? 200 : 404, "text/plain", "path " + path};
      }));
  ASSERT_GT(server->port(), 0);
  const std::string get = Exchange(server->port(), "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(get, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(get, HasSubstr("\r\nContent-Length: 7\r\n"));
  EXPECT_THAT(get, HasSubstr("\r\n\r\npath /a"));
  const std::string head = Exchange(server->port(), "HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(head.substr(head.size() - 4), "\r\n\r\n");
  EXPECT_THAT(Exchange(server->port(), "GET /b HTTP/1.1\r\nHost: x\r\n\r\n"),
              StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(Exchange(server->port(), "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"),
              StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"));
}

TEST(HttpServerTest, APortInUseIsOneClearError) {
  const auto handler = [](const std::string&) { return HttpResponse(); };
  ASSERT_OK_AND_ASSIGN(const auto first, HttpServer::Start("127.0.0.1:0", handler));
  EXPECT_THAT(HttpServer::Start("127.0.0.1:" + std::to_string(first->port()), handler),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("choose another with --http")));
}

}  // namespace
}  // namespace advisor::server
