#ifndef ADVISOR_CLIENT_CTL_PAGES_H_
#define ADVISOR_CLIENT_CTL_PAGES_H_

#include "client/report/html.h"
#include "core/stats/characterize.h"

namespace advisor::client {

// What a command has found, as a page that stands alone.
HtmlReport CharacterizePage(const Characterization& found);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_CTL_PAGES_H_
