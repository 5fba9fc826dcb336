#ifndef ADVISOR_CLIENT_REPORT_ASSETS_H_
#define ADVISOR_CLIENT_REPORT_ASSETS_H_

namespace advisor::client {

// Written into the program at build time: page.css and page.js of this folder, and Chart.js (MIT
// licence) from the distribution's package.
extern const char kPageCss[];
extern const char kPageJs[];
extern const char kChartJs[];
extern const char kChartJsLicence[];  // goes wherever kChartJs goes

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_REPORT_ASSETS_H_
