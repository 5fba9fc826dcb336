#ifndef ADVISOR_CORE_IO_DEPLOYMENT_FILE_H_
#define ADVISOR_CORE_IO_DEPLOYMENT_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "core/model/deployment.h"

namespace advisor {

// Reads and validates a deployment file. Unknown and doubled keys, missing keys and wrong types are
// INVALID_ARGUMENT with file, line, key, what was got and what is allowed; too few slots
// FAILED_PRECONDITION with the missing number.
absl::StatusOr<Deployment> ReadDeployment(const std::string& path);
absl::StatusOr<Deployment> ParseDeployment(const std::string& yaml, const std::string& name);

// A deployment file that reads back as `deployment`, topology in the long form; unset optional keys
// are left out.
std::string DeploymentToYaml(const Deployment& deployment);

}  // namespace advisor

#endif  // ADVISOR_CORE_IO_DEPLOYMENT_FILE_H_
