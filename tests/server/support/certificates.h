#ifndef ADVISOR_TESTS_SERVER_SUPPORT_CERTIFICATES_H_
#define ADVISOR_TESTS_SERVER_SUPPORT_CERTIFICATES_H_

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace advisor::testing {

// A certificate authority in a folder, made with openssl.
class Authority {
 public:
  Authority(std::string folder, std::string name)
      : folder_(std::move(folder)), name_(std::move(name)) {
    OpenSsl(absl::StrCat("req -x509 ", kNewKey, " -keyout ", Path("key"), " -out ", Path("crt"),
                         " -days 2 -subj /CN=", name_));
  }
  std::string certificate() const { return Path("crt"); }

  // Files <folder>/<file>.crt and .key. `days` below 0: expired.
  void Sign(const std::string& file, const std::string& common_name,
            const std::string& alternative_name, int days = 2) const {
    const std::string base = absl::StrCat(folder_, "/", file);
    std::ofstream(base + ".ext") << "subjectAltName=" << alternative_name << "\n";
    OpenSsl(absl::StrCat("req ", kNewKey, " -keyout ", base, ".key.new -out ", base,
                         ".csr -subj /CN=", common_name));
    OpenSsl(absl::StrCat("x509 -req -in ", base, ".csr -CA ", Path("crt"), " -CAkey ", Path("key"),
                         " -CAcreateserial -out ", base, ".crt.new -days ", days, " -extfile ",
                         base, ".ext"));
    std::rename((base + ".key.new").c_str(), (base + ".key").c_str());
    std::rename((base + ".crt.new").c_str(), (base + ".crt").c_str());
  }

 private:
  std::string Path(const char* extension) const {
    return absl::StrCat(folder_, "/", name_, ".", extension);
  }
  static constexpr char kNewKey[] = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
  static void OpenSsl(const std::string& arguments) {
    const std::string command = absl::StrCat("openssl ", arguments, " >/dev/null 2>&1");
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }

  std::string folder_, name_;
};

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SERVER_SUPPORT_CERTIFICATES_H_
