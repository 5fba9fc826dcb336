#include "core/io/strict_yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "core/base/status_macros.h"
#include "core/io/line_reader.h"

namespace advisor {
namespace {

class IgnoreEvents final : public YAML::EventHandler {
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

// Up to two. Not YAML::LoadAll(): after "&x a" and a line "? b" the parser stands still, and hands
// out documents without end.
int CountDocuments(const std::string& yaml) {
  std::istringstream text(yaml);
  YAML::Parser parser(text);
  IgnoreEvents ignore;
  int documents = 0;
  while (documents < 2 && parser.HandleNextDocument(ignore)) {
    ++documents;
  }
  return documents;
}

// A value as errors show it, one line.
std::string Shown(const YAML::Node& node) {
  if (node.IsNull()) {
    return "empty";
  }
  if (node.IsSequence()) {
    return "a list";
  }
  if (node.IsMap()) {
    return "a mapping";
  }
  std::string text = node.Scalar().substr(0, 60);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c >= 0 && c < ' '; }, ' ');
  return absl::StrCat("\"", text, "\"");
}

// Unquoted and untagged: only such a scalar can be a number or a boolean.
bool IsPlainScalar(const YAML::Node& node) {
  return node.IsScalar() && (node.Tag() == "?" || node.Tag().empty());
}

// Digits with an optional minus; a leading zero would read as octal elsewhere.
bool ParseInteger(const YAML::Node& node, int64_t* out) {
  if (!IsPlainScalar(node)) {
    return false;
  }
  const std::string& text = node.Scalar();
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, *out);
  const size_t first = !text.empty() && text[0] == '-' ? 1 : 0;
  const bool leading_zero = text.size() > first + 1 && text[first] == '0';
  return error == std::errc() && stop == end && !leading_zero;
}

bool ParseDouble(const YAML::Node& node, double* out) {
  if (!IsPlainScalar(node)) {
    return false;
  }
  const std::string& text = node.Scalar();
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, *out);
  const size_t first = !text.empty() && text[0] == '-' ? 1 : 0;
  const bool leading_zero = text.size() > first + 1 && text[first] == '0' &&
                            text[first + 1] >= '0' && text[first + 1] <= '9';
  return error == std::errc() && stop == end && !leading_zero && std::isfinite(*out);
}

}  // namespace

struct StrictMap::Rep {
  // What all maps of one document share.
  struct Document {
    std::string name;
    absl::Status status;
  };

  std::shared_ptr<Document> document;
  std::string path;  // "" for the outermost map
  YAML::Mark mark = YAML::Mark::null_mark();
  struct Entry {
    std::string key;
    YAML::Mark mark;
    YAML::Node value;
  };
  std::vector<Entry> entries;  // in file order
  std::set<std::string> read;
  std::vector<std::shared_ptr<Rep>> children;

  std::string Path(const std::string& key) const {
    return path.empty() ? key : absl::StrCat(path, ".", key);
  }

  std::string Where(const YAML::Mark& at) const {
    return at.is_null() ? document->name : absl::StrCat(document->name, ":", at.line + 1);
  }

  void Add(const absl::Status& status) {
    if (document->status.ok()) {
      document->status = status;
    }
  }

  void Fail(const YAML::Mark& at, const std::string& message) {
    Add(absl::InvalidArgumentError(absl::StrCat(Where(at), ": ", message)));
  }

  const Entry* Find(const std::string& key) const {
    for (const Entry& entry : entries) {
      if (entry.key == key) {
        return &entry;
      }
    }
    return nullptr;
  }

  // Marks `key` as known; null where absent or after an error.
  const Entry* Read(const std::string& key, bool required) {
    read.insert(key);
    if (!document->status.ok()) {
      return nullptr;
    }
    const Entry* entry = Find(key);
    if (entry == nullptr && required) {
      Fail(mark, absl::StrCat(Path(key), " is missing"));
    }
    return entry;
  }

  void Expected(const Entry& entry, const std::string& must) {
    Fail(entry.mark, absl::StrCat(Path(entry.key), " is ", Shown(entry.value), ", must be ", must));
  }

  // Takes the keys of `node`, which must be a mapping without a doubled key.
  void Load(const YAML::Node& node) {
    mark = node.Mark();
    if (!node.IsMap()) {
      Fail(mark, absl::StrCat(path.empty() ? "the file" : path, " is ", Shown(node),
                              ", must be a mapping"));
      return;
    }
    for (const auto& pair : node) {
      if (!pair.first.IsScalar()) {
        Fail(pair.first.Mark(), absl::StrCat("a key", path.empty() ? "" : " of " + path, " is ",
                                             Shown(pair.first), ", must be text"));
        return;
      }
      const std::string& key = pair.first.Scalar();
      if (const Entry* first = Find(key); first != nullptr) {
        Fail(pair.first.Mark(), absl::StrCat("key ", Path(key), " is there twice, first in line ",
                                             first->mark.line + 1, "; remove one"));
        return;
      }
      entries.push_back({key, pair.first.Mark(), pair.second});
    }
  }

  std::shared_ptr<Rep> Child(const std::string& child_path) {
    auto child = std::make_shared<Rep>();
    child->document = document;
    child->path = child_path;
    child->mark = mark;
    children.push_back(child);
    return child;
  }

  // The unread key that comes first in the file, with the map it is in.
  void FirstUnread(const Rep** map, const Entry** entry) const {
    for (const Entry& e : entries) {
      if (read.count(e.key) == 0 && (*entry == nullptr || e.mark.pos < (*entry)->mark.pos)) {
        *map = this;
        *entry = &e;
      }
    }
    for (const auto& child : children) {
      child->FirstUnread(map, entry);
    }
  }
};

StrictMap::StrictMap(std::shared_ptr<Rep> rep) : rep_(std::move(rep)) {}
StrictMap::~StrictMap() = default;
StrictMap::StrictMap(StrictMap&&) noexcept = default;
StrictMap& StrictMap::operator=(StrictMap&&) noexcept = default;

absl::StatusOr<StrictMap> StrictMap::ParseFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path));
  return ParseText(text, path);
}

absl::StatusOr<StrictMap> StrictMap::ParseText(const std::string& yaml, const std::string& name) {
  YAML::Node document;
  int documents = 0;
  try {
    documents = CountDocuments(yaml);
    document = YAML::Load(yaml);
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ":", e.mark.line + 1, ": not YAML: ", e.msg));
  } catch (const std::exception& e) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": not YAML: ", e.what()));
  }
  if (documents != 1) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: holds %s, must hold one", name,
                        documents == 0 ? "no YAML document" : "several YAML documents"));
  }
  auto rep = std::make_shared<Rep>();
  rep->document = std::make_shared<Rep::Document>();
  rep->document->name = name;
  rep->Load(document);
  RETURN_IF_ERROR(rep->document->status);
  return StrictMap(std::move(rep));
}

bool StrictMap::Has(const char* key) const { return rep_->Find(key) != nullptr; }

bool StrictMap::IsScalar(const char* key) const {
  const Rep::Entry* entry = rep_->Find(key);
  return entry != nullptr && entry->value.IsScalar();
}

bool StrictMap::Integer(const char* key, int64_t low, int64_t high, bool required, int64_t* out) {
  const Rep::Entry* entry = rep_->Read(key, required);
  if (entry == nullptr) {
    return false;
  }
  if (!ParseInteger(entry->value, out) || *out < low || *out > high) {
    rep_->Expected(*entry, absl::StrFormat("an integer %d .. %d", low, high));
    return false;
  }
  return true;
}

void StrictMap::ReadDouble(const char* key, double low, double high, double* out, bool required) {
  const Rep::Entry* entry = rep_->Read(key, required);
  if (entry == nullptr) {
    return;
  }
  double value = 0;
  if (!ParseDouble(entry->value, &value) || value < low || value > high) {
    rep_->Expected(*entry, absl::StrFormat("a number %g .. %g", low, high));
    return;
  }
  *out = value;
}

void StrictMap::ReadBool(const char* key, bool* out, bool required) {
  const Rep::Entry* entry = rep_->Read(key, required);
  if (entry == nullptr) {
    return;
  }
  const std::string text = IsPlainScalar(entry->value) ? entry->value.Scalar() : "";
  if (text != "true" && text != "false") {
    rep_->Expected(*entry, "true or false");
    return;
  }
  *out = text == "true";
}

void StrictMap::ReadString(const char* key, std::string* out, bool required) {
  const Rep::Entry* entry = rep_->Read(key, required);
  if (entry == nullptr) {
    return;
  }
  if (!entry->value.IsScalar()) {
    rep_->Expected(*entry, "text");
    return;
  }
  *out = entry->value.Scalar();
}

void StrictMap::ReadEnum(const char* key, const std::vector<std::string>& allowed, int* out,
                         bool required) {
  const Rep::Entry* entry = rep_->Read(key, required);
  if (entry == nullptr) {
    return;
  }
  const auto found = entry->value.IsScalar()
                         ? std::find(allowed.begin(), allowed.end(), entry->value.Scalar())
                         : allowed.end();
  if (found == allowed.end()) {
    rep_->Expected(*entry, absl::StrCat("one of ", absl::StrJoin(allowed, ", ")));
    return;
  }
  *out = static_cast<int>(found - allowed.begin());
}

bool StrictMap::IntegerList(const char* key, int64_t low, int64_t high, std::vector<int64_t>* out) {
  const Rep::Entry* entry = rep_->Read(key, false);
  if (entry == nullptr) {
    return false;
  }
  if (!entry->value.IsSequence()) {
    rep_->Expected(*entry, "a list of integers");
    return false;
  }
  for (size_t i = 0; i < entry->value.size(); ++i) {
    const YAML::Node item = entry->value[i];
    int64_t value = 0;
    if (!ParseInteger(item, &value) || value < low || value > high) {
      rep_->Fail(item.Mark(), absl::StrFormat("%s[%d] is %s, must be an integer %d .. %d",
                                              rep_->Path(key), i, Shown(item), low, high));
      return false;
    }
    out->push_back(value);
  }
  return true;
}

void StrictMap::ReadStringList(const char* key, std::vector<std::string>* out) {
  const Rep::Entry* entry = rep_->Read(key, false);
  if (entry == nullptr) {
    return;
  }
  if (!entry->value.IsSequence()) {
    rep_->Expected(*entry, "a list of text");
    return;
  }
  std::vector<std::string> values;
  for (size_t i = 0; i < entry->value.size(); ++i) {
    const YAML::Node item = entry->value[i];
    if (!item.IsScalar()) {
      rep_->Fail(item.Mark(),
                 absl::StrFormat("%s[%d] is %s, must be text", rep_->Path(key), i, Shown(item)));
      return;
    }
    values.push_back(item.Scalar());
  }
  *out = std::move(values);
}

StrictMap StrictMap::ReadMap(const char* key, bool required) {
  const Rep::Entry* entry = rep_->Read(key, required);
  std::shared_ptr<Rep> child = rep_->Child(rep_->Path(key));
  if (entry != nullptr) {
    child->Load(entry->value);
    child->mark = entry->mark;
  }
  return StrictMap(std::move(child));
}

std::vector<StrictMap> StrictMap::ReadMapList(const char* key, bool required) {
  const Rep::Entry* entry = rep_->Read(key, required);
  std::vector<StrictMap> maps;
  if (entry == nullptr) {
    return maps;
  }
  if (!entry->value.IsSequence()) {
    rep_->Expected(*entry, "a list of mappings");
    return maps;
  }
  for (size_t i = 0; i < entry->value.size(); ++i) {
    std::shared_ptr<Rep> child = rep_->Child(absl::StrFormat("%s[%d]", rep_->Path(key), i));
    child->Load(entry->value[i]);
    maps.push_back(StrictMap(std::move(child)));
  }
  return maps;
}

void StrictMap::Fail(const char* key, const std::string& message) {
  Check(key, absl::InvalidArgumentError(absl::StrCat(rep_->Path(key), " ", message)));
}

void StrictMap::Check(const char* key, const absl::Status& status) {
  if (status.ok()) {
    return;
  }
  const Rep::Entry* entry = rep_->Find(key);
  const std::string where = rep_->Where(entry == nullptr ? rep_->mark : entry->mark);
  rep_->Add(absl::Status(status.code(), absl::StrCat(where, ": ", status.message())));
}

const absl::Status& StrictMap::status() const { return rep_->document->status; }

absl::Status StrictMap::Finish() {
  RETURN_IF_ERROR(rep_->document->status);
  const Rep* map = nullptr;
  const Rep::Entry* entry = nullptr;
  rep_->FirstUnread(&map, &entry);
  if (entry != nullptr) {
    const std::vector<std::string> known(map->read.begin(), map->read.end());
    rep_->Fail(entry->mark, absl::StrCat("unknown key ", map->Path(entry->key),
                                         "; known here: ", absl::StrJoin(known, ", ")));
  }
  return rep_->document->status;
}

}  // namespace advisor
