#include "tools/bench/flood_cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "common/base/time.h"
#include "tools/bench/own_stack.h"

namespace hearth::bench {
namespace {

constexpr const char* kLoud = "loud";
constexpr const char* kNobodysProfile = "nobody-has-it";
constexpr const char* kFails = R"({"simulate": {"fail": true}})";  // executor/simulated/driver.h

struct CaseRow {
  FloodCase which;
  std::string_view name;
  std::string_view what;
};
constexpr std::array kCases = {
    CaseRow{FloodCase::kPlain, "plain", "with random keys from one user"},
    CaseRow{FloodCase::kUnplaceable, "unplaceable", "from one user for a function whose profile no executor has"},
    CaseRow{FloodCase::kConcurrency, "concurrency", "from one user for a function with concurrency 1"},
    CaseRow{FloodCase::kFailing, "failing", "from one user, every attempt of which fails"},
    CaseRow{FloodCase::kUsers, "users", ""},
    CaseRow{FloodCase::kLarge, "large", "from one user"},
    CaseRow{FloodCase::kKeyed, "keyed", ""},
};

const CaseRow& RowOf(FloodCase which) {
  return *std::ranges::find(kCases, which, &CaseRow::which);
}

}  // namespace

std::optional<FloodCase> FindFloodCase(std::string_view name) {
  const auto* const row = std::ranges::find(kCases, name, &CaseRow::name);
  return row == kCases.end() ? std::nullopt : std::optional(row->which);
}

std::vector<std::string> FloodCaseNames() {
  std::vector<std::string> names;
  for (const auto& row : kCases) names.emplace_back(row.name);
  return names;
}

FloodPlan::FloodPlan(FloodPlanOptions options) : options_(std::move(options)) {
  const bool many = options_.which == FloodCase::kUsers;
  functions_ = MakeFunctions(kLoud, many ? std::max(1, options_.records / kRecordsOfUser) : 1, 1);
  for (auto& function : functions_) {
    if (options_.which == FloodCase::kUnplaceable) function.profile = kNobodysProfile;
    if (options_.which == FloodCase::kConcurrency) function.concurrency = 1;
  }
  payload_ = options_.which == FloodCase::kFailing ? std::string(kFails)
                                                   : MakePayload(static_cast<std::size_t>(options_.payload));
}

std::optional<LoadFunction> FloodPlan::warm() const {
  return waits() ? std::nullopt : std::optional(functions_.back());
}

OutRecord FloodPlan::Make(int number) const {
  const std::string id = options_.prefix + std::to_string(number);
  RequestMore more;
  if (options_.expires_s > 0) {
    more.expires_ms = ReadClocks().wall_us / kMicrosPerMilli + static_cast<std::int64_t>(options_.expires_s * 1000);
  }
  // The key is the id, so that the flood is spread over all partitions; what has an order key has to lie in one.
  std::string key = id;
  if (options_.which == FloodCase::kKeyed) key = more.order_key = fmt::format("key-{}", number % kOrderKeys);
  const auto& function = functions_[static_cast<std::size_t>(number) % functions_.size()];
  return MakeRequest(function, id, kStandardTopic, key, payload_, more);
}

std::optional<std::size_t> FloodPlan::NumberOf(std::string_view id) const {
  if (!id.starts_with(options_.prefix)) return std::nullopt;
  id.remove_prefix(options_.prefix.size());
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  const bool whole = error == std::errc{} && end == id.data() + id.size();
  return whole && number < static_cast<std::size_t>(options_.records) ? std::optional(number) : std::nullopt;
}

std::string FloodPlan::what() const {
  std::string what(RowOf(options_.which).what);
  if (options_.which == FloodCase::kUsers) what = fmt::format("from {} users with a function each", users());
  if (options_.which == FloodCase::kKeyed) what = fmt::format("with {} order keys from one user", kOrderKeys);
  if (options_.expires_s > 0) what += fmt::format(", each of which expires after {:g} s", options_.expires_s);
  return what;
}

}  // namespace hearth::bench
