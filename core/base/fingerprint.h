#ifndef ADVISOR_CORE_BASE_FINGERPRINT_H_
#define ADVISOR_CORE_BASE_FINGERPRINT_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/base/rng.h"

namespace advisor {

// A stable 64-bit hash for identity and corruption checks (model fingerprints, plan content). The
// same on every platform and release; not cryptographic: it guards against mistakes, not against an
// adversary.
class Fingerprint {
 public:
  Fingerprint& Add(uint64_t v) {
    hash_ = Mix64(hash_ ^ Mix64(v));
    return *this;
  }
  Fingerprint& Add(const std::string& s) { return AddBytes(s.data(), s.size()); }
  Fingerprint& AddBytes(const void* data, size_t size) {
    // FNV-1a over the bytes, then length and value mixed in, so that ("ab","c") differs from
    // ("a","bc").
    uint64_t h = 0xcbf29ce484222325ULL;
    const auto* p = static_cast<const unsigned char*>(data);
    for (size_t i = 0; i < size; ++i) {
      h = (h ^ p[i]) * 0x100000001b3ULL;
    }
    return Add(size).Add(h);
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0x6d6f652d61647631ULL;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_BASE_FINGERPRINT_H_
