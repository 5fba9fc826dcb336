#include "core/window/domain_table.h"

#include "core/base/check.h"
#include "core/window/report.h"

namespace advisor {

bool DomainTable::Acquire(const std::string& name) {
  const auto it = holders_.find(name);
  if (it != holders_.end()) {
    ++it->second;
    return true;
  }
  const bool other_held = holders_.contains(kOtherDomain);
  const size_t named = holders_.size() - (other_held ? 1 : 0);
  if (name != kOtherDomain && named >= static_cast<size_t>(max_domains_)) {
    return false;
  }
  holders_[name] = 1;
  return true;
}

void DomainTable::Release(const std::string& name) {
  const auto it = holders_.find(name);
  ADVISOR_CHECK(it != holders_.end());
  if (--it->second == 0) {
    holders_.erase(it);
  }
}

}  // namespace advisor
