#ifndef ADVISOR_CORE_WINDOW_DOMAIN_TABLE_H_
#define ADVISOR_CORE_WINDOW_DOMAIN_TABLE_H_

#include <map>
#include <string>

namespace advisor {

// The domain names of one deployment: at most `max_domains` at a time, later ones are "other". A
// name is held for as long as a reporter's window uses it, so that names that died out make room.
class DomainTable {
 public:
  explicit DomainTable(int max_domains) : max_domains_(max_domains) {}

  // Holds `name` once more; false when there is no room for it. "other" always has room.
  bool Acquire(const std::string& name);
  void Release(const std::string& name);
  // Names held, sorted.
  const std::map<std::string, int>& names() const { return holders_; }

 private:
  int max_domains_;
  std::map<std::string, int> holders_;  // name -> how many windows hold it
};

}  // namespace advisor

#endif  // ADVISOR_CORE_WINDOW_DOMAIN_TABLE_H_
