#ifndef ADVISOR_SERVER_OBSERVE_HTTP_SERVER_H_
#define ADVISOR_SERVER_OBSERVE_HTTP_SERVER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

struct mg_connection;
struct mg_context;

namespace advisor::server {

struct HttpResponse {
  int code = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// Plain HTTP for people, probes and Prometheus: GET and HEAD, everything else is 405.
class HttpServer {
 public:
  using Handler = std::function<HttpResponse(const std::string& path)>;

  // `listen` is HOST:PORT, port 0: any. `handler` runs on the server's threads. UNAVAILABLE: the
  // port is taken.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const std::string& listen,
                                                           Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const { return port_; }

 private:
  HttpServer(std::string host, Handler handler)
      : host_(std::move(host)), handler_(std::move(handler)) {}
  static int OnRequest(mg_connection* connection, void* self);
  static int OnLog(const mg_connection* connection, const char* message);

  const std::string host_;
  const Handler handler_;
  mg_context* context_ = nullptr;
  int port_ = 0;
  std::atomic<bool> started_{false};
  std::string last_error_;  // written until started
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_OBSERVE_HTTP_SERVER_H_
