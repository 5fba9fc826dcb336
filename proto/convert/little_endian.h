#ifndef ADVISOR_PROTO_CONVERT_LITTLE_ENDIAN_H_
#define ADVISOR_PROTO_CONVERT_LITTLE_ENDIAN_H_

#include <bit>
#include <cstring>
#include <string>
#include <vector>

namespace advisor {

static_assert(std::endian::native == std::endian::little,
              "arrays on the wire are little-endian and copied as they are in memory");

// `values` as an array of Wire, little-endian. Every value must fit.
template <typename Wire, typename Values>
std::string PackAs(const Values& values) {
  std::string out(values.size() * sizeof(Wire), '\0');
  char* p = out.data();
  for (const auto& value : values) {
    const Wire wire = static_cast<Wire>(value);
    std::memcpy(p, &wire, sizeof(Wire));
    p += sizeof(Wire);
  }
  return out;
}

// Reads out.size() values of type Wire. False when `bytes` has another size.
template <typename Wire, typename Values>
bool UnpackAs(const std::string& bytes, Values&& out) {
  if (bytes.size() != out.size() * sizeof(Wire)) {
    return false;
  }
  const char* p = bytes.data();
  for (auto& value : out) {
    Wire wire;
    std::memcpy(&wire, p, sizeof(Wire));
    value = wire;
    p += sizeof(Wire);
  }
  return true;
}

}  // namespace advisor

#endif  // ADVISOR_PROTO_CONVERT_LITTLE_ENDIAN_H_
