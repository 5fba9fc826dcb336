#ifndef ADVISOR_CORE_IO_FIGURES_JSON_H_
#define ADVISOR_CORE_IO_FIGURES_JSON_H_

#include "core/io/json_object.h"
#include "core/model/figures.h"
#include "core/model/plan.h"

namespace advisor {

// Figures, predictions and bounds under the contract's keys. For the .cc files of core/io only.
nlohmann::ordered_json FiguresObject(const Figures& figures);
Figures ReadFigures(JsonObject& object);

// `predicted`: the figures themselves, beside `prefill`, `decode` and `fit` objects and
// `layers_over_cap`. Figures without a single token or load (a plan solved without held-out
// requests) are left out.
nlohmann::ordered_json PredictedObject(const Predicted& predicted);
Predicted ReadPredicted(JsonObject& object);

nlohmann::ordered_json BoundsObject(const Bounds& bounds);
Bounds ReadBounds(JsonObject& object);

}  // namespace advisor

#endif  // ADVISOR_CORE_IO_FIGURES_JSON_H_
