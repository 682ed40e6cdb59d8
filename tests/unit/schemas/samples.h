// One filled-in value of everything that travels, for round trips and golden bytes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "schemas/batch_item.h"
#include "schemas/batch_spec.h"
#include "schemas/batch_state.h"
#include "schemas/batch_want.h"
#include "schemas/guest.h"
#include "schemas/link.h"
#include "schemas/request.h"
#include "schemas/result.h"
#include "schemas/usage.h"

namespace hearth::samples {

Function SampleFunction();
Request SampleRequest(RequestForm form);
InvocationResult SampleResult();
Usage SampleUsage();
std::vector<BatchSpec> BatchSpecs();  // one of each source of items, in the order of the variant; the first has all
std::vector<Want> Wants();            // one of each, in the order of the variant
BatchState SampleBatchState();
PlacedItem SampleItem();
ResultMark SampleMark();
std::vector<link::Message> LinkMessages();  // one of each, in the order of the variant
link::Exec SampleExecOfItem();
link::Done SampleDoneWithOffset();
std::vector<guest::Message> GuestMessages();  // the same

Record Received(const OutRecord& sent);        // as a consumer sees it: partition 3, offset 42
std::string Printed(const OutRecord& record);  // "name: value" lines, an empty line, the value

// File name → bytes of version 1.
std::map<std::string, std::string> Golden();

constexpr RequestForm kForms[] = {RequestForm::kHeaders, RequestForm::kMsgpack, RequestForm::kJson,
                                  RequestForm::kCloudEventBinary, RequestForm::kCloudEventStructured};

}  // namespace hearth::samples
