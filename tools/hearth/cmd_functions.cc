// hearth deploy | functions | remove
#include <fmt/format.h>

#include <algorithm>
#include <expected>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>

#include "common/base/sha256.h"
#include "common/base/time.h"
#include "schemas/function.h"
#include "schemas/request.h"
#include "schemas/topics.h"
#include "tools/code/archive.h"
#include "tools/code/byte_code.h"
#include "tools/hearth/context.h"
#include "tools/hearth/environment.h"
#include "tools/hearth/options.h"
#include "tools/hearth/registry.h"
#include "tools/hearth/ways_out.h"

namespace hearth::tool {
namespace {

const std::string kFunctionsTopic(TopicName(Topic::kFunctions));

constexpr std::string_view kByteCodeWayOut =
    "the first start of a container takes longer for it, large modules most; Debian 12 has it: apt install python3";

struct Deployment {
  Function function;
  std::string name;
  std::string runtime{RuntimeName(Runtime::kPython3)};
  std::vector<std::string> environment;
  std::vector<std::string> environment_files;
  std::string path;
};

// "python3: module.function; native: the executable inside the folder".
std::string HandlersOfRuntimes() {
  std::string text;
  for (const RuntimeRow& row : kRuntimes) {
    text.append(text.empty() ? "" : "; ").append(row.name).append(": ").append(row.handler_help);
  }
  return text;
}

// With byte code where it can be had and there is room for it; the function runs without as well.
Result<std::string> Pack(std::vector<CodeFile> files, Runtime runtime, Progress& progress) {
  if (!RowOf(runtime).byte_code) return PackCode(std::move(files));
  const auto goes_without = [&](const std::string& why) {
    progress.Pause();
    PrintError("hearth: {}: the code goes without byte code, and each container compiles it when it starts\n",
               Shown(why));
  };
  progress.Say("compiling byte code");
  auto byte_code = CompilePython(files);
  if (!byte_code) {
    goes_without(byte_code.error().message);
    PrintError("  {}\n", kByteCodeWayOut);
    return PackCode(std::move(files));
  }
  progress.Say("packing the code");
  std::vector<CodeFile> all = files;
  std::ranges::move(*byte_code, std::back_inserter(all));
  auto archive = PackCode(std::move(all));
  if (archive) return archive;
  auto without = PackCode(std::move(files));
  if (without) goes_without(archive.error().message);
  return without;
}

// What is said on the command line counts before what is in files.
Result<void> ReadEnvironment(const Deployment& deployment, Variables& variables) {
  for (const auto& file : deployment.environment_files) {
    if (auto read = AddVariablesOfFile(variables, file, OwnVariable); !read)
      return FailWith("--env-file", read.error());
  }
  for (const auto& text : deployment.environment) {
    if (auto added = AddVariable(variables, text, OwnVariable); !added) return FailWith("--env", added.error());
  }
  return {};
}

// It has to be there already: a mistyped one would take the code, and no executor would find it.
Result<void> NeedCodeStore(const Setting& store) {
  std::error_code error;
  if (std::filesystem::is_directory(store.value, error)) return {};
  return Fail(Code::kNotFound, "no folder " + store.value + " for the code store");
}

std::string CodeStoreWayOut(const Setting& store) {
  return store.Another() + "\nit has to be the folder that the executors have as code_store";
}

// What was deployed, and where not, the exit code.
std::expected<void, int> Store(const Context& context, Deployment& deployment, Progress& progress) {
  Function& function = deployment.function;
  const auto failed = [&](const Error& error, std::string_view way_out = {}) {
    progress.Stop();
    return std::unexpected(Report(error, way_out));
  };
  if (auto there = NeedCodeStore(context.code_store); !there)
    return failed(there.error(), CodeStoreWayOut(context.code_store));
  progress.Say("reading " + deployment.path);
  auto files = ReadCode(deployment.path);
  if (!files) return failed(files.error());
  if (auto handler = CheckHandler(function.runtime, function.handler, *files); !handler) {
    return failed(handler.error(), fmt::format("--handler HANDLER is for {}", HandlersOfRuntimes()));
  }
  const auto doubt = DoubtAboutHandler(function.runtime, function.handler, *files);
  auto archive = Pack(std::move(*files), function.runtime, progress);
  if (!archive) return failed(archive.error());
  function.code_bytes = static_cast<std::int64_t>(archive->size());
  function.code = CodeHash(Sha256Hex(*archive));
  if (auto valid = ValidateFunction(function); !valid) return failed(valid.error());
  progress.Say(fmt::format("storing {} bytes in {}", archive->size(), context.code_store.value));
  if (auto stored = StoreCode(context.code_store.value, function.user, *archive); !stored)
    return failed(stored.error(), CodeStoreWayOut(context.code_store));
  progress.Say("registering the function with Kafka at " + context.bootstrap.value);
  OutRecord record{kFunctionsTopic, FunctionKey(function.user, function.name), EncodeFunction(function), {}};
  if (auto sent = ProduceOne(context, std::move(record)); !sent)
    return failed(sent.error(), KafkaWayOut(context, sent.error()));
  progress.Stop();
  if (!doubt.empty()) PrintError("hearth: {}\n", Shown(doubt));
  return {};
}

int Deploy(const Context& context, Deployment& deployment) {
  Function& function = deployment.function;
  function.user = UserId(context.user.value);
  function.name = FunctionName(deployment.name);
  function.version = ReadClocks().wall_us / kMicrosPerMilli;
  auto runtime = ParseRuntime(deployment.runtime);
  if (!runtime) return ReportUsage(runtime.error().message);
  function.runtime = *runtime;
  if (auto read = ReadEnvironment(deployment, function.environment); !read) return ReportUsage(read.error().message);
  if (context.code_store.empty()) {
    return ReportUsage("where is the code store?", context.code_store.Ways() + " names its folder");
  }
  Progress progress(stderr, ProgressKind(context));
  if (auto stored = Store(context, deployment, progress); !stored) return stored.error();
  if (context.json) {
    PrintJson({{"user", function.user.str()},
               {"name", function.name.str()},
               {"version", function.version},
               {"runtime", RuntimeName(function.runtime)},
               {"code", function.code.str()},
               {"code_bytes", function.code_bytes}});
    return kFine;
  }
  Print("deployed {}/{} version {} ({}, {} bytes, {})\n", function.user.str(), function.name.str(), function.version,
        deployment.runtime, function.code_bytes, function.code.value.substr(0, 12));
  return kFine;
}

// Names alone unless values are asked for: they may be secrets, and output ends in logs and on screens.
nlohmann::json EnvironmentJson(const Function& function, bool show_secrets) {
  auto shown = nlohmann::json::object();
  for (const auto& [name, value] : function.environment) {
    shown[name] = show_secrets ? nlohmann::json(value) : nlohmann::json();
  }
  return shown;
}

struct Listing {
  bool all = false;
  bool show_secrets = false;
};

int ListFunctions(const Context& context, const Listing& listing) {
  Progress progress(stderr, ProgressKind(context));
  progress.Say("reading the functions from Kafka at " + context.bootstrap.value);
  auto functions = ReadFunctions(context);
  progress.Stop();
  if (!functions) return ReportKafka(context, functions.error());
  auto rows = nlohmann::json::array();
  if (!context.json)
    Print("{:<32} {:<8} {:<24} {:>6} {:>8} {:>8}  VERSION\n", "FUNCTION", "RUNTIME", "HANDLER", "MiB", "TIMEOUT",
          "ATTEMPTS");
  for (const auto& [key, function] : *functions) {
    if (!listing.all && function.user.str() != context.user.value) continue;
    if (context.json) {
      rows.push_back({{"user", function.user.str()},
                      {"name", function.name.str()},
                      {"version", function.version},
                      {"runtime", RuntimeName(function.runtime)},
                      {"handler", function.handler},
                      {"memory_mib", function.memory_mib},
                      {"timeout_ms", function.timeout_ms},
                      {"max_attempts", function.max_attempts},
                      {"environment", EnvironmentJson(function, listing.show_secrets)},
                      {"code", function.code.str()}});
    } else {
      Print("{:<32} {:<8} {:<24} {:>6} {:>8} {:>8}  {}\n", key, RuntimeName(function.runtime), function.handler,
            function.memory_mib, fmt::format("{} ms", function.timeout_ms), function.max_attempts, function.version);
      if (!listing.show_secrets) continue;
      for (const auto& [name, value] : function.environment) Print("  {}={}\n", Shown(name), Shown(value));
    }
  }
  if (context.json) PrintJson(rows);
  return kFine;
}

int Remove(const Context& context, const std::string& name) {
  Progress progress(stderr, ProgressKind(context));
  progress.Say("removing the function from Kafka at " + context.bootstrap.value);
  auto functions = ReadFunctions(context);
  if (!functions) {
    progress.Stop();
    return ReportKafka(context, functions.error());
  }
  const auto key = FunctionKey(UserId(context.user.value), FunctionName(name));
  if (!functions->contains(key)) {
    progress.Stop();
    return Report(Error{Code::kNotFound, "no function " + key},
                  FunctionWayOut(context.user, name, NamesOf(*functions)));
  }
  auto sent = ProduceOne(context, OutRecord{kFunctionsTopic, key, "", {}}, true);
  progress.Stop();
  if (!sent) return ReportKafka(context, sent.error());
  if (context.json) {
    PrintJson({{"user", context.user.value}, {"name", name}});
  } else {
    Print("removed {}\n", key);
  }
  return kFine;
}

}  // namespace

void AddFunctions(CLI::App& app, Context& context, Command& chosen) {
  auto deployment = std::make_shared<Deployment>();
  Function& function = deployment->function;
  auto* deploy = app.add_subcommand("deploy", "store code and register it as a function");
  deploy->group(kFunctionCommands);
  deploy->add_option("name", deployment->name, "name of the function")->required()->type_name("NAME");
  deploy->add_option("path", deployment->path, "file or folder with the code")->required()->type_name("PATH");
  deploy->add_option("--runtime", deployment->runtime, Names(kRuntimes))
      ->type_name("RUNTIME")
      ->group("Code")
      ->capture_default_str();
  deploy->add_option("--handler", function.handler, HandlersOfRuntimes())
      ->required()
      ->type_name("HANDLER")
      ->group("Code");
  const auto number = [&](const char* name, auto& value, const char* unit, const char* help) {
    deploy->add_option(name, value, help)->type_name(unit)->group("Limits")->capture_default_str();
  };
  number("--memory", function.memory_mib, "MIB", "memory of a container");
  number("--timeout-ms", function.timeout_ms, "MS", "limit of one attempt");
  number("--attempts", function.max_attempts, "COUNT", "tries before giving up");
  number("--concurrency", function.concurrency, "COUNT", "attempts at once; 0: the user's cap alone");
  number("--idle", function.container_idle_s, "SECONDS",
         "that an idle container is kept; 0: as the executors are configured");
  number("--profile", function.profile, "NAME", "kind of machine");
  Repeated(
      deploy->add_option("--env", deployment->environment,
                         "NAME=VALUE, which others on this host can read, or NAME, which takes its value from here"))
      ->type_name("VARIABLE")
      ->group("Variables");
  Repeated(deploy->add_option("--env-file", deployment->environment_files, "file with one NAME=VALUE or NAME a line"))
      ->type_name("FILE")
      ->group("Variables");
  Choose(*deploy, chosen, [&context, deployment] { return Deploy(context, *deployment); });

  auto listing = std::make_shared<Listing>();
  auto* functions = app.add_subcommand("functions", "list the functions of the user");
  functions->group(kFunctionCommands);
  functions->add_flag("--all", listing->all, "of all users");
  functions->add_flag("--show-secrets", listing->show_secrets, "the values of variables too");
  Choose(*functions, chosen, [&context, listing] { return ListFunctions(context, *listing); });

  auto name = std::make_shared<std::string>();
  auto* remove = app.add_subcommand("remove", "remove a function");
  remove->group(kFunctionCommands);
  remove->add_option("name", *name, "name of the function")->required()->type_name("NAME");
  Choose(*remove, chosen, [&context, name] { return Remove(context, *name); });
}

}  // namespace hearth::tool
