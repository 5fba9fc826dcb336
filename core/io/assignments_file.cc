#include "core/io/assignments_file.h"

#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"
#include "core/io/atomic_file.h"
#include "core/io/json_object.h"
#include "core/io/line_reader.h"
#include "core/model/topology.h"

namespace advisor {

absl::StatusOr<std::vector<Assignment>> ReadAssignments(const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<LineReader> lines, LineReader::Open(path));
  std::vector<Assignment> assignments;
  absl::flat_hash_set<std::string> seen;
  std::string line;
  while (true) {
    ASSIGN_OR_RETURN(const bool more, lines->Next(&line));
    if (!more) {
      return assignments;
    }
    ASSIGN_OR_RETURN(const nlohmann::json json, ParseJson(line, lines->Where()));
    JsonObject fields(json, lines->Where());
    Assignment assignment;
    int node = 0;
    fields.ReadString("request_id", &assignment.request_id, true);
    fields.ReadInt("node", 0, kMaxNodes - 1, &node, true);
    fields.ReadInt("microbatch", 0, kMaxMicrobatches - 1, &assignment.microbatch);
    RETURN_IF_ERROR(fields.status());
    if (!seen.insert(assignment.request_id).second) {
      fields.Fail("request_id",
                  absl::StrCat("is ", Shown(assignment.request_id), ", which is assigned already"));
      return fields.status();
    }
    assignment.node = NodeId(node);
    assignments.push_back(std::move(assignment));
  }
}

absl::Status WriteAssignments(const std::string& path, absl::Span<const Assignment> assignments) {
  ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFile> file,
                   AtomicFile::Create(path, AtomicFile::Compression::kNone));
  for (const Assignment& assignment : assignments) {
    nlohmann::ordered_json line;
    line["request_id"] = assignment.request_id;
    line["node"] = assignment.node.value();
    if (assignment.microbatch >= 0) {
      line["microbatch"] = assignment.microbatch;
    }
    RETURN_IF_ERROR(file->Append(ToText(line) + "\n"));
  }
  return file->Commit();
}

absl::StatusOr<std::vector<NodeId>> HomesOf(const Traffic& traffic,
                                            absl::Span<const Assignment> assignments, int nodes) {
  absl::flat_hash_map<std::string, NodeId> node_of;
  for (const Assignment& assignment : assignments) {
    node_of[assignment.request_id] = assignment.node;
  }
  std::vector<NodeId> homes;
  homes.reserve(traffic.requests.size());
  for (const Request& request : traffic.requests) {
    const auto it = node_of.find(request.id);
    if (it == node_of.end()) {
      return absl::NotFoundError(absl::StrFormat(
          "request \"%s\" has no assignment; make the assignments from this trace", request.id));
    }
    if (it->second.value() < 0 || it->second.value() >= nodes) {
      return absl::InvalidArgumentError(
          absl::StrFormat("request \"%s\" is assigned to node %d, must be 0 .. %d", request.id,
                          it->second.value(), nodes - 1));
    }
    homes.push_back(it->second);
  }
  return homes;
}

std::optional<std::vector<int>> MicrobatchesOf(const Traffic& traffic,
                                               absl::Span<const Assignment> assignments) {
  absl::flat_hash_map<std::string, int> microbatch_of;
  for (const Assignment& assignment : assignments) {
    microbatch_of[assignment.request_id] = assignment.microbatch;
  }
  std::vector<int> microbatches;
  microbatches.reserve(traffic.requests.size());
  for (const Request& request : traffic.requests) {
    microbatches.push_back(microbatch_of.at(request.id));
    if (microbatches.back() < 0) {
      return std::nullopt;
    }
  }
  return microbatches;
}

}  // namespace advisor
