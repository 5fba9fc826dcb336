#ifndef ADVISOR_CORE_SYNTH_PREFERENCES_H_
#define ADVISOR_CORE_SYNTH_PREFERENCES_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/rng.h"
#include "core/model/phase.h"
#include "core/synth/generator.h"

namespace advisor {

// Logits by [layer, expert].
using LogitTable = std::vector<float>;

// Near enough to a standard normal draw, cheap, and the same on every platform: the sum of four
// 16-bit uniforms.
inline float FastNormal(Rng& rng) {
  constexpr float kSd = 37837.2f;  // of the sum: 65536 x sqrt(4 / 12)
  const uint64_t bits = rng.Next();
  const auto sum = static_cast<int>((bits & 0xffff) + (bits >> 16 & 0xffff) +
                                    (bits >> 32 & 0xffff) + (bits >> 48));
  return static_cast<float>(sum - 2 * 65535) / kSd;
}

LogitTable NormalTable(const ModelSpec& model, Rng rng);
void AddScaled(const LogitTable& from, double factor, LogitTable& to);

// What the requests of a trace have in common, drawn once from the seed.
class Preferences {
 public:
  explicit Preferences(const GeneratorOptions& options);

  // Global plus domain preference.
  const LogitTable& Domain(int domain, Phase phase) const {
    return domains_[domain][static_cast<int>(phase)];
  }
  // Memberships of every block, times block_strength.
  const std::vector<LogitTable>& blocks() const { return blocks_; }
  // A fresh direction of preference: normal over the experts, plus a leaning to blocks.
  LogitTable DrawDirection(const Rng& rng) const;

 private:
  LogitTable DrawDomainDirection(int domain, const LogitTable& axis) const;
  // Scales a domain's direction by its layer's share of domain_skew.
  void ApplySkew(LogitTable& direction) const;

  GeneratorOptions options_;
  std::vector<LogitTable> blocks_;
  std::vector<std::array<LogitTable, kPhases>> domains_;
};

// "code", "math", ...; "domain-<n>" beyond the list.
std::string SyntheticDomainName(int domain);

}  // namespace advisor

#endif  // ADVISOR_CORE_SYNTH_PREFERENCES_H_
