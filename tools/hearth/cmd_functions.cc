// hearth deploy | functions | remove
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "common/base/sha256.h"
#include "common/base/time.h"
#include "common/kafka/functions.h"
#include "schemas/function.h"
#include "schemas/request.h"
#include "schemas/topics.h"
#include "tools/code/archive.h"
#include "tools/code/byte_code.h"
#include "tools/hearth/context.h"
#include "tools/hearth/environment.h"
#include "tools/hearth/options.h"

namespace hearth::tool {
namespace {

const std::string kFunctionsTopic(TopicName(Topic::kFunctions));

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
Result<std::string> Pack(const std::string& path, Runtime runtime) {
  auto files = ReadCode(path);
  if (!files) return std::unexpected(files.error());
  if (!RowOf(runtime).byte_code) return PackCode(std::move(*files));
  const auto goes_without = [](const std::string& why) {
    PrintError("hearth: {}: the code goes without byte code, and each container compiles it when it starts\n", why);
  };
  auto byte_code = CompilePython(*files);
  if (!byte_code) {
    goes_without(byte_code.error().message);
    return PackCode(std::move(*files));
  }
  std::vector<CodeFile> all = *files;
  std::ranges::move(*byte_code, std::back_inserter(all));
  auto archive = PackCode(std::move(all));
  if (archive) return archive;
  auto without = PackCode(std::move(*files));
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

int Deploy(const Context& context, Deployment& deployment) {
  Function& function = deployment.function;
  function.user = UserId(context.user.value);
  function.name = FunctionName(deployment.name);
  function.version = ReadClocks().wall_us / kMicrosPerMilli;
  auto runtime = ParseRuntime(deployment.runtime);
  if (!runtime) {
    Report(runtime.error());
    return kUsage;
  }
  function.runtime = *runtime;
  if (auto read = ReadEnvironment(deployment, function.environment); !read) {
    PrintError("hearth: {}\n", Shown(read.error().message));
    return kUsage;
  }
  if (context.code_store.empty()) {
    PrintError("hearth: where is the code store? Say --code-store FOLDER or set HEARTH_CODE_STORE\n");
    return kUsage;
  }
  auto archive = Pack(deployment.path, function.runtime);
  if (!archive) return Report(archive.error());
  function.code_bytes = static_cast<std::int64_t>(archive->size());
  function.code = CodeHash(Sha256Hex(*archive));
  if (auto valid = ValidateFunction(function); !valid) return Report(valid.error());
  if (auto stored = StoreCode(context.code_store.value, function.user, *archive); !stored)
    return Report(stored.error());
  OutRecord record{kFunctionsTopic, FunctionKey(function.user, function.name), EncodeFunction(function), {}};
  if (auto sent = ProduceOne(context, std::move(record)); !sent) return Report(sent.error());
  Print("deployed {}/{} version {} ({}, {} bytes, {})\n", function.user.str(), function.name.str(), function.version,
        deployment.runtime, function.code_bytes, function.code.value.substr(0, 12));
  return kFine;
}

// Reads the whole registry: key → function.
Result<std::map<std::string, Function>> ReadFunctions(const Context& context) {
  Loop loop;
  std::map<std::string, Function> functions;
  bool done = false;
  std::string trouble;
  kafka::FunctionCallbacks callbacks;
  callbacks.updated = [&](const std::shared_ptr<const Function>& function) {
    functions.insert_or_assign(FunctionKey(function->user, function->name), *function);
  };
  callbacks.removed = [&](const UserId& user, const FunctionName& name) { functions.erase(FunctionKey(user, name)); };
  callbacks.unreadable = [&](const std::string& key, const std::string&) { functions.erase(key); };
  callbacks.caught_up = [&] {
    done = true;
    loop.Stop();
  };
  callbacks.alarm = [&](const std::string& what) { trouble = what; };
  auto follower = kafka::FollowFunctions(loop, context.bootstrap.value, "hearth-cli", kFunctionsTopic, callbacks);
  if (!follower) return std::unexpected(follower.error());
  Timer limit(loop, [&] { loop.Stop(); });
  limit.StartOnce(kServerTimeoutMs);
  loop.Run();
  if (!done) return Fail(Code::kUnavailable, "kafka at " + context.bootstrap.value + ": " + trouble);
  return functions;
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

int List(const Context& context, const Listing& listing) {
  auto functions = ReadFunctions(context);
  if (!functions) return Report(functions.error());
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
  auto functions = ReadFunctions(context);
  if (!functions) return Report(functions.error());
  const auto key = FunctionKey(UserId(context.user.value), FunctionName(name));
  if (!functions->contains(key)) return Report(Error{Code::kNotFound, "no function " + key});
  if (auto sent = ProduceOne(context, OutRecord{kFunctionsTopic, key, "", {}}, true); !sent)
    return Report(sent.error());
  Print("removed {}\n", key);
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
  Choose(*functions, chosen, [&context, listing] { return List(context, *listing); });

  auto name = std::make_shared<std::string>();
  auto* remove = app.add_subcommand("remove", "remove a function");
  remove->group(kFunctionCommands);
  remove->add_option("name", *name, "name of the function")->required()->type_name("NAME");
  Choose(*remove, chosen, [&context, name] { return Remove(context, *name); });
}

}  // namespace hearth::tool
