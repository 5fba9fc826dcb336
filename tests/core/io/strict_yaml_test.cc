#include "core/io/strict_yaml.h"

#include <functional>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::absl::StatusCode;
using ::advisor::testing::IsOk;
using ::advisor::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The status after `read` has taken what it knows from `yaml`.
absl::Status Read(const std::string& yaml, const std::function<void(StrictMap&)>& read) {
  ASSIGN_OR_RETURN(StrictMap map, StrictMap::ParseText(yaml, "f.yaml"));
  read(map);
  return map.Finish();
}

absl::Status ReadIntOf(const std::string& text, int64_t* out, int64_t low, int64_t high) {
  return Read(absl::StrCat("n: ", text), [=](StrictMap& map) { map.ReadInt("n", low, high, out); });
}

auto Invalid(const std::string& text) {
  return StatusIs(StatusCode::kInvalidArgument, HasSubstr(text));
}

TEST(StrictYamlTest, ReadsEveryKind) {
  int i = 0;
  double d = 0, from_int = 0;
  bool b = false;
  std::string s, quoted;
  int e = -1;
  std::vector<int> ints;
  std::vector<std::string> strings;
  std::string nested;
  std::vector<std::string> items;
  EXPECT_THAT(
      Read("i: -7\nd: 1.5e3\nfrom_int: 2\nb: true\ns: plain text\nquoted: \"007\"\ne: red\n"
           "ints: [1, 2]\nstrings: [a, 'b']\nmap: {x: y}\nlist:\n  - {k: 1st}\n  - {k: 2nd}\n",
           [&](StrictMap& m) {
             m.ReadInt("i", -10, 10, &i);
             m.ReadDouble("d", 0, 1e6, &d);
             m.ReadDouble("from_int", 0, 1e6, &from_int);
             m.ReadBool("b", &b);
             m.ReadString("s", &s);
             m.ReadString("quoted", &quoted);
             m.ReadEnum("e", {"green", "red"}, &e);
             m.ReadIntList("ints", 0, 9, &ints);
             m.ReadStringList("strings", &strings);
             m.ReadMap("map").ReadString("x", &nested);
             for (StrictMap& item : m.ReadMapList("list")) {
               item.ReadString("k", &items.emplace_back());
             }
           }),
      IsOk());
  EXPECT_EQ(i, -7);
  EXPECT_EQ(d, 1500);
  EXPECT_EQ(from_int, 2);
  EXPECT_TRUE(b);
  EXPECT_EQ(s, "plain text");
  EXPECT_EQ(quoted, "007");
  EXPECT_EQ(e, 1);
  EXPECT_THAT(ints, ElementsAre(1, 2));
  EXPECT_THAT(strings, ElementsAre("a", "b"));
  EXPECT_EQ(nested, "y");
  EXPECT_THAT(items, ElementsAre("1st", "2nd"));
}

TEST(StrictYamlTest, AbsentKeysLeaveTheDefaults) {
  int i = 5;
  EXPECT_THAT(Read("{}",
                   [&](StrictMap& m) {
                     m.ReadInt("i", 0, 9, &i);
                     m.ReadMap("map").ReadInt("i", 0, 9, &i);
                     EXPECT_TRUE(m.ReadMapList("list").empty());
                     EXPECT_FALSE(m.Has("i"));
                   }),
              IsOk());
  EXPECT_EQ(i, 5);
}

TEST(StrictYamlTest, RefusesLooseIntegers) {
  int64_t n = 0;
  for (const char* text :
       {"007", "0x10", "0o7", "1_000", "1.0", "1e3", "+1", "\"9\"", "yes", "~", "", "[1]", "{a: 1}",
        "9223372036854775808", "99999999999999999999999", "!!str 5", "-0x1", "00"}) {
    EXPECT_THAT(ReadIntOf(text, &n, INT64_MIN, INT64_MAX), Invalid("f.yaml:1: n is ")) << text;
  }
  EXPECT_THAT(ReadIntOf("9223372036854775807", &n, INT64_MIN, INT64_MAX), IsOk());
  EXPECT_EQ(n, INT64_MAX);
  EXPECT_THAT(ReadIntOf("0", &n, 0, 1), IsOk());
  EXPECT_THAT(ReadIntOf("2", &n, 0, 1), Invalid("f.yaml:1: n is \"2\", must be an integer 0 .. 1"));
}

TEST(StrictYamlTest, RefusesLooseDoubles) {
  double d = 0;
  for (const char* text :
       {"007.5", "nan", ".inf", "inf", "0x1p3", "1e999", "\"1.5\"", "1.5x", "one", ""}) {
    EXPECT_THAT(Read(absl::StrCat("d: ", text),
                     [&](StrictMap& m) { m.ReadDouble("d", -1e308, 1e308, &d); }),
                Invalid("f.yaml:1: d is "))
        << text;
  }
}

TEST(StrictYamlTest, RefusesLooseBooleans) {
  bool b = false;
  for (const char* text : {"yes", "on", "True", "1", "\"true\"", ""}) {
    EXPECT_THAT(Read(absl::StrCat("b: ", text), [&](StrictMap& m) { m.ReadBool("b", &b); }),
                Invalid("must be true or false"))
        << text;
  }
}

TEST(StrictYamlTest, NamesDoubledKeysWithBothLines) {
  EXPECT_THAT(Read("a: 1\nb: 2\na: 3\n", [](StrictMap&) {}),
              Invalid("f.yaml:3: key a is there twice, first in line 1; remove one"));
  EXPECT_THAT(Read("m:\n  a: 1\n  a: 1\n", [](StrictMap& m) { m.ReadMap("m"); }),
              Invalid("f.yaml:3: key m.a is there twice, first in line 2"));
}

TEST(StrictYamlTest, NamesTheFirstUnknownKeyWithItsLineAndWhatIsKnown) {
  int n = 0;
  EXPECT_THAT(Read("n: 1\nm:\n  x: 1\n  y: 2\nz: 3\n",
                   [&](StrictMap& m) {
                     m.ReadInt("n", 0, 9, &n);
                     StrictMap nested = m.ReadMap("m");
                     nested.ReadInt("x", 0, 9, &n);
                   }),
              Invalid("f.yaml:4: unknown key m.y; known here: x"));
  EXPECT_THAT(Read("list:\n- {a: 1}\n- {a: 1, b: 2}\n",
                   [&](StrictMap& m) {
                     for (StrictMap& item : m.ReadMapList("list")) {
                       item.ReadInt("a", 0, 9, &n);
                     }
                   }),
              Invalid("f.yaml:3: unknown key list[1].b"));
}

TEST(StrictYamlTest, NamesMissingKeys) {
  int n = 0;
  EXPECT_THAT(Read("a: 1\n", [&](StrictMap& m) { m.ReadInt("n", 0, 9, &n, true); }),
              Invalid("f.yaml:1: n is missing"));
  EXPECT_THAT(Read("a:\n- {}\n",
                   [&](StrictMap& m) {
                     for (StrictMap& item : m.ReadMapList("a")) {
                       item.ReadInt("n", 0, 9, &n, true);
                     }
                   }),
              Invalid("f.yaml:2: a[0].n is missing"));
}

TEST(StrictYamlTest, RefusesWrongShapes) {
  std::vector<int> ints;
  std::string s;
  std::vector<std::string> strings;
  EXPECT_THAT(Read("m: 3", [](StrictMap& m) { m.ReadMap("m"); }),
              Invalid("f.yaml:1: m is \"3\", must be a mapping"));
  EXPECT_THAT(Read("m:", [](StrictMap& m) { m.ReadMap("m"); }),
              Invalid("m is empty, must be a mapping"));
  EXPECT_THAT(Read("l: 3", [](StrictMap& m) { m.ReadMapList("l"); }),
              Invalid("l is \"3\", must be a list of mappings"));
  EXPECT_THAT(Read("l: [3]", [](StrictMap& m) { m.ReadMapList("l"); }),
              Invalid("l[0] is \"3\", must be a mapping"));
  EXPECT_THAT(Read("l: 3", [&](StrictMap& m) { m.ReadIntList("l", 0, 9, &ints); }),
              Invalid("must be a list of integers"));
  EXPECT_THAT(Read("l:\n- 3\n- 10\n", [&](StrictMap& m) { m.ReadIntList("l", 0, 9, &ints); }),
              Invalid("f.yaml:3: l[1] is \"10\", must be an integer 0 .. 9"));
  EXPECT_THAT(Read("s: [a]", [&](StrictMap& m) { m.ReadString("s", &s); }),
              Invalid("s is a list, must be text"));
  EXPECT_THAT(Read("s: [[a]]", [&](StrictMap& m) { m.ReadStringList("s", &strings); }),
              Invalid("s[0] is a list, must be text"));
  EXPECT_THAT(Read("? [a]\n: 1\n", [](StrictMap&) {}),
              Invalid("f.yaml:1: a key is a list, must be text"));
}

TEST(StrictYamlTest, RefusesWhatIsNotOneMapping) {
  for (const char* text : {"", "# nothing\n", "- 1\n", "text", "a: 1\n---\nb: 2\n", "a: [1\n",
                           "a: b: c\n", "\tx: 1\n", "a: *x\n"}) {
    EXPECT_THAT(StrictMap::ParseText(text, "f.yaml").status(), Invalid("f.yaml:")) << text;
  }
  EXPECT_THAT(StrictMap::ParseFile("/none/f.yaml").status(),
              StatusIs(StatusCode::kNotFound, HasSubstr("/none/f.yaml")));
}

TEST(StrictYamlTest, DeepNestingIsAnErrorNotACrash) {
  EXPECT_FALSE(StrictMap::ParseText(std::string(100000, '['), "f.yaml").ok());
  EXPECT_FALSE(StrictMap::ParseText(std::string(100000, '{'), "f.yaml").ok());
}

// The packaged parser hands out documents without end here.
TEST(StrictYamlTest, AParserThatStandsStillIsNotFollowed) {
  for (const char* yaml : {"&x a\n? b\n", "!t a\n? b\n", "&x a[1, *x]\n? {b? c}"}) {
    EXPECT_THAT(StrictMap::ParseText(yaml, "x.yaml"),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("several")));
  }
}

TEST(StrictYamlTest, TheFirstErrorSticks) {
  int n = 5;
  EXPECT_THAT(Read("a: x\nb: 3\n",
                   [&](StrictMap& m) {
                     m.ReadInt("a", 0, 9, &n);
                     m.ReadInt("b", 0, 9, &n);
                     m.Fail("b", "is odd");
                   }),
              Invalid("f.yaml:1: a is \"x\""));
  EXPECT_EQ(n, 5);
}

TEST(StrictYamlTest, CallersErrorsGetTheKeysPosition) {
  EXPECT_THAT(Read("a: 1\nm:\n  b: 3\n",
                   [](StrictMap& m) {
                     StrictMap nested = m.ReadMap("m");
                     nested.Fail("b", "is odd");
                   }),
              Invalid("f.yaml:3: m.b is odd"));
  EXPECT_THAT(Read("a: 1\n",
                   [](StrictMap& m) { m.Check("a", absl::FailedPreconditionError("too small")); }),
              StatusIs(StatusCode::kFailedPrecondition, HasSubstr("f.yaml:1: too small")));
}

}  // namespace
}  // namespace advisor
