#ifndef ADVISOR_CORE_MODEL_MODEL_IDENTITY_H_
#define ADVISOR_CORE_MODEL_MODEL_IDENTITY_H_

#include <string>

#include "core/model/model_spec.h"

namespace advisor {

// What ModelFingerprint() is made of, for people: "name m, moe_layers 58, ...".
std::string IdentityText(const ModelSpec& model);
// Which of it differs: "experts 64 against 128". Empty: nothing.
std::string IdentityDifference(const ModelSpec& a, const ModelSpec& b);

}  // namespace advisor

#endif  // ADVISOR_CORE_MODEL_MODEL_IDENTITY_H_
