#include "server/observe/http_server.h"

#include <civetweb.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace advisor::server {
namespace {

const char* ReasonPhrase(int code) {
  switch (code) {
    case 200:
      return "OK";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    default:
      return "Service Unavailable";
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const std::string& listen,
                                                              Handler handler) {
  std::unique_ptr<HttpServer> server(
      new HttpServer(listen.substr(0, listen.rfind(':')), std::move(handler)));
  const char* options[] = {"listening_ports",    listen.c_str(), "num_threads", "4",
                           "request_timeout_ms", "10000",        nullptr};
  mg_callbacks callbacks = {};
  callbacks.log_message = OnLog;
  server->context_ = mg_start(&callbacks, server.get(), options);
  if (server->context_ == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on http ", listen, ": ", server->last_error_,
                     "; stop what has the port or choose another with --http"));
  }
  server->started_ = true;
  mg_server_port port = {};
  if (mg_get_server_ports(server->context_, 1, &port) != 1) {
    return absl::InternalError(absl::StrCat("http ", listen, ": no port was opened"));
  }
  server->port_ = port.port;
  mg_set_request_handler(server->context_, "/", OnRequest, server.get());
  return server;
}

HttpServer::~HttpServer() {
  if (context_ == nullptr) {
    return;
  }
  // civetweb looks at its stop flag when a connection comes or every two seconds: connections come.
  std::mutex mutex;
  std::condition_variable changed;
  bool stopped = false;
  std::thread knocking([&] {
    std::unique_lock<std::mutex> lock(mutex);
    while (!changed.wait_for(lock, std::chrono::milliseconds(5), [&] { return stopped; })) {
      char error[64];
      if (mg_connection* connection =
              mg_connect_client(host_.c_str(), port_, 0, error, sizeof(error))) {
        mg_close_connection(connection);
      }
    }
  });
  mg_stop(context_);
  {
    std::lock_guard<std::mutex> lock(mutex);
    stopped = true;
  }
  changed.notify_one();
  knocking.join();
}

int HttpServer::OnRequest(mg_connection* connection, void* self) {
  const mg_request_info* request = mg_get_request_info(connection);
  const std::string method = request->request_method;
  HttpResponse response;
  if (method == "GET" || method == "HEAD") {
    response = static_cast<HttpServer*>(self)->handler_(request->local_uri);
  } else {
    response = {405, "text/plain; charset=utf-8", "only GET and HEAD\n"};
  }
  const std::string head = absl::StrFormat(
      "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nCache-Control: no-store\r\n"
      "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
      response.code, ReasonPhrase(response.code), response.content_type, response.body.size());
  mg_write(connection, head.data(), head.size());
  if (method != "HEAD") {
    mg_write(connection, response.body.data(), response.body.size());
  }
  return response.code;
}

int HttpServer::OnLog(const mg_connection* connection, const char* message) {
  auto* server = static_cast<HttpServer*>(mg_get_user_data(mg_get_context(connection)));
  if (!server->started_) {
    server->last_error_ = message;
  }
  return 1;  // handled: civetweb writes no log of its own
}

}  // namespace advisor::server
