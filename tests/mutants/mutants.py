"""The guards of isolation and of turns, each with the edit that takes it away and the tests that have to notice.

A mutant is an edit of one source file: `old` (there exactly once) becomes `new`. Production code has no switch for it.
"""
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    goal: str  # S1 … S12, or what is guarded
    name: str
    file: str
    old: str
    new: str
    notice: tuple[str, ...]  # tests that must fail, as Suite.Name
    program: str = "guest_integration_test"  # whose tests these are
    rebuild: tuple[str, ...] = ()  # sources to compile anew; by default the file itself
    may_fell: bool = False  # without the guard user code may end the whole machine


BOUNDARY, EXHAUSTION = "BoundaryTest.", "ExhaustionTest."
AGENT = "guest/agent/"
ZYGOTE = "guest/runtime/python3/zygote.py"
LINK = "executor/guest_link.cc"
TURNS = ("dispatcher/core/turns.cc", "dispatcher/core/turns_offer.cc")

MUTANTS = (
    Mutant("S1", "instance_bound_twice", AGENT + "agent.cc", "if (!bound_) Bind(configure);", "Bind(configure);",
           ("IsolationTest.MachineIsBoundOnce",)),
    Mutant("S1", "processes_of_the_machine_in_sight", AGENT + "sandbox.cc", "CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_PIDFD",
           "CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_PIDFD", (BOUNDARY + "TheAgentIsOutOfReach",)),
    Mutant("S1", "times_of_a_liar_believed", AGENT + "container.cc", "std::clamp(answer.started_us, attempt_->received_us, now)",
           "answer.started_us", ("IsolationTest.ForgedAnswerBelongsToItsOwnRunAndCostsTheContainer",)),
    Mutant("S2", "shared_ipc", AGENT + "sandbox.cc", "CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_PIDFD",
           "CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWNET | CLONE_PIDFD", (BOUNDARY + "AnotherFunctionFindsNothingOfTheFirst",)),
    Mutant("S2", "left_processes_overlooked", AGENT + "container.cc", "if (!cgroup_.HoldsProcesses(kOwnProcesses))", "if (kOwnProcesses < 0)",
           (BOUNDARY + "NoProcessOutlivesItsContainer", "RuntimeTest.ProcessLeftBehindCondemnsTheContainer")),
    Mutant("S3", "hash_not_compared", "executor/code_store.cc", "if (Sha256Hex(*bytes) != hash.value)", "if (bytes->empty())",
           ("CodeStoreTest.RefusesWhatHasAnotherHash",), "executor_machines_test"),
    Mutant("S3", "part_of_a_code_is_code", AGENT + "code_cache.cc", "if (auto whole = transfer_->unpacker->Finish(); !whole) return std::unexpected(whole.error());", "",
           (BOUNDARY + "PartOfACodeIsNoCode",)),
    Mutant("S3", "stored_code_replaced", AGENT + "code_cache.cc", "if (!stored_.try_emplace(transfer_->hash, next_).second) {", "if (!stored_.insert_or_assign(transfer_->hash, next_).second && false) {",
           (BOUNDARY + "PartOfACodeIsNoCode",)),
    Mutant("S3", "code_mounted_writable", AGENT + "sandbox.cc", "MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV", "MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV",
           (BOUNDARY + "CodeCanOnlyBeReadWhicheverWayItCame",)),
    Mutant("S3", "code_bound_writable", AGENT + "sandbox.cc", "MS_REMOUNT | MS_BIND | MS_RDONLY | flags", "MS_REMOUNT | MS_BIND | flags",
           (BOUNDARY + "CodeCanOnlyBeReadWhicheverWayItCame",)),
    Mutant("S4", "no_bound_on_processes", AGENT + "cgroup.cc", "std::to_string(max_pids)", "std::to_string(max_pids * 1000)", (EXHAUSTION + "ThreadsAndProcessesAreCapped",)),
    Mutant("S5", "no_bound_on_memory", AGENT + "cgroup.cc", "std::to_string(memory_bytes)", "std::to_string(memory_bytes * 1000)",
           (EXHAUSTION + "AContainerIsOfTheSizeOfItsFunction",)),
    Mutant("S5", "bound_of_the_empty_container_kept", AGENT + "container.cc", "if (memory_bytes != kEmptyMemoryBytes) {", "if (memory_bytes < 0) {",
           (EXHAUSTION + "AContainerIsOfTheSizeOfItsFunction", EXHAUSTION + "MemoryEndsInTheContainer", "RuntimeTest.EatsMemory")),
    Mutant("S6", "space_of_the_empty_container_kept", AGENT + "sandbox.cc", "if (memory_bytes == kEmptyMemoryBytes) return nullptr;", "return nullptr;",
           (EXHAUSTION + "AContainerIsOfTheSizeOfItsFunction",)),
    Mutant("S6", "no_bound_on_space", AGENT + "sandbox.cc", "std::to_string(std::min(memory_bytes, kMaxTmpBytes))", "std::to_string(memory_bytes)",
           (EXHAUSTION + "SpaceIsBounded",)),
    Mutant("S6", "no_bound_on_the_number_of_files", AGENT + "sandbox.cc", "std::to_string(kMaxTmpFiles)", 'std::string("1000000")',
           (EXHAUSTION + "SpaceIsBounded",)),
    Mutant("S6", "no_bound_on_a_files_size", ZYGOTE, "resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, MAX_FILE_BYTES))", "pass",
           (EXHAUSTION + "SpaceIsBounded",)),
    Mutant("S7", "log_kept_whole", AGENT + "log_tail.h", "if (kept_.size() > kMaxLogTailBytes) kept_.erase(0, kept_.size() - kMaxLogTailBytes);\n    total_bytes_ = 0;",
           "total_bytes_ = 0;", (EXHAUSTION + "ErrorsAreCutToTheirLimits", EXHAUSTION + "ALineWithoutEndIsCountedAndCut"), rebuild=(AGENT + "container.cc",)),
    Mutant("S7", "error_text_kept_whole", AGENT + "answer.cc", "ended.error_type = CutText(ended.error_type, kMaxIdentifierBytes);", "",
           ("AnswerTest.TextsAreCutBetweenLetters",), "guest_parts_test"),
    Mutant("S7", "answer_of_any_size", AGENT + "answer.cc", "if (ended.output.size() > kMaxOutputBytes) {", "if (ended.output.size() > SIZE_MAX - 1) {",
           ("AnswerTest.WhateverIsWrittenInTheRuntimesPlaceCanBeTold",), "guest_parts_test"),
    Mutant("S7", "cut_output_without_a_word", AGENT + "stdio_channel.cc", "      too_large_ = true;", "",
           ("RuntimeTest.OutputBeyondTheLimit",)),
    Mutant("S8", "no_bound_on_descriptors_of_python", ZYGOTE, "resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))", "pass",
           (EXHAUSTION + "DescriptorsAreCounted",)),
    Mutant("S8", "no_bound_on_descriptors_of_native", AGENT + "sandbox.cc", "!Limit(RLIMIT_NOFILE, kMaxOpenFiles) || ", "",
           (EXHAUSTION + "DescriptorsAreCounted",)),
    Mutant("S8", "guest_may_flood", LINK, "if (++window_frames_ > kMaxGuestFramesPerSecond)", "if (++window_frames_ < 0)",
           ("GuestLinkTest.TooManyFramesInASecondEndTheLink",), "executor_guest_link_test"),
    Mutant("S8", "guest_may_take_for_ever", LINK, "link->deadline_.StartOnce(hello_within_ms);", "(void)hello_within_ms;",
           ("GuestLinkTest.AFrameThatNeverEndsIsCutWhereNothingCameBeforeIt",), "executor_guest_link_test"),
    Mutant("S8", "guest_may_not_read", "common/loop/stream.cc", 'return impl_->Fault("the peer does not read");', "", ("GuestLinkTest.AGuestThatDoesNotReadIsCutOff",),
           "executor_guest_link_test"),
    Mutant("S8", "frames_of_any_length", "schemas/frame.cc", "if (length > kMaxFrameBytes) {", "if (length > kMaxFrameBytes * 1000) {",
           ("GuestLinkTest.AFrameBeyondTheLimitEndsTheLinkAtItsHead",), "executor_guest_link_test"),
    Mutant("S8", "second_guest", LINK, "  listener_.reset();\n  stream_ = std::move(stream);", "  stream_ = std::move(stream);",
           ("GuestLinkTest.OneConnectionForTheLifeOfTheMachine",), "executor_guest_link_test"),
    Mutant("S9", "shared_network", AGENT + "sandbox.cc", "CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_PIDFD", "CLONE_NEWIPC | CLONE_NEWUTS | CLONE_PIDFD",
           (BOUNDARY + "TheOnlyNetworkIsTheContainersOwnLoopback",)),
    Mutant("S9", "machine_with_a_network_device", "executor/machines/domain_xml.cc", 'AddWith(devices, "memballoon", "model", "none");',
           'AddWith(devices, "memballoon", "model", "none");\n  AddWith(devices, "interface", "type", "user");', ("QemuAuditTest.AMachineHasNoRightsOnTheHost",), "executor_qemu_audit_test"),
    Mutant("S10", "every_system_call", AGENT + "seccomp.cc", "seccomp_init(SCMP_ACT_ERRNO(EPERM))", "seccomp_init(SCMP_ACT_LOG)",
           ("IsolationTest.DangerousSystemCallsAreRefused", BOUNDARY + "NoOtherDoorIntoTheKernel")),
    Mutant("S10", "any_family_of_sockets", AGENT + "seccomp.cc", "for (const int family : {AF_UNIX, AF_INET, AF_INET6}) {", "for (const int family : {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK}) {",
           ("IsolationTest.DangerousSystemCallsAreRefused", BOUNDARY + "NoOtherDoorIntoTheKernel")),
    Mutant("S10", "limits_of_any_process", AGENT + "seccomp.cc", "Argument(0, SCMP_CMP_EQ, 0);", "Argument(0, SCMP_CMP_GE, 0);",
           ("IsolationTest.DangerousSystemCallsAreRefused",)),
    Mutant("S10", "new_namespaces_by_clone", AGENT + "seccomp.cc", "CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID", "CLONE_NEWIPC | CLONE_NEWPID",
           ("IsolationTest.DangerousSystemCallsAreRefused", BOUNDARY + "NoOtherDoorIntoTheKernel")),
    Mutant("S10", "no_filter_on_native_code", AGENT + "sandbox.cc", "if (!InstallSeccompProgram(seccomp_program))", "if (seccomp_program.empty())",
           (BOUNDARY + "NativeCodeHasNoRightsEither",)),
    Mutant("S10", "launcher_can_be_read", AGENT + "sandbox.cc", "prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)", "prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)",
           (BOUNDARY + "TheLauncherIsOutOfReach",)),
    Mutant("S10", "capabilities_in_reach", ZYGOTE, "for capability in range(64):", "for capability in range(0):", ("IsolationTest.UserCodeHasNoRights",)),
    Mutant("S10", "descriptors_leak", ZYGOTE, "os.closerange(RUN_FD + 1, 65536)", "pass", ("IsolationTest.UserCodeHasNoRights",)),
    Mutant("S10", "set_user_id_honoured", AGENT + "sandbox.cc", "constexpr unsigned long kSafe = MS_NOSUID | MS_NODEV;", "constexpr unsigned long kSafe = MS_NODEV;",
           (BOUNDARY + "ProcAndLinksLeadNowhere",)),
    Mutant("S11", "machine_is_root", "executor/machines/domain_xml.cc", 'fmt::format("+{}:+{}", account.uid, account.gid)', 'fmt::format("+{}:+{}", account.uid * 0, account.gid)',
           ("QemuAuditTest.AMachineHasNoRightsOnTheHost",), "executor_qemu_audit_test"),
    Mutant("S11", "sockets_in_an_open_folder", "executor/machines/fleet.cc", "if (mkdir(machine.folder.c_str(), 0700) != 0) {", "if (mkdir(machine.folder.c_str(), 0755) != 0) {",
           ("QemuAuditTest.AMachineHasNoRightsOnTheHost",), "executor_qemu_audit_test"),
    Mutant("S11", "machines_share_an_account", "executor/machines/fleet.cc", "options_.first_account->uid + machine.slot", "options_.first_account->uid + 0 * machine.slot",
           ("QemuAuditTest.AMachineHasNoRightsOnTheHost",), "executor_qemu_audit_test"),
    Mutant("S12", "identity_of_nobody", AGENT + "container.cc", "MakeIdentity(services_.secret, number)", 'MakeIdentity("", number * 0)',
           (BOUNDARY + "EachContainerHasAnIdentityAndRandomnessOfItsOwn",)),
    Mutant("S12", "seed_of_the_template", ZYGOTE, "    function = failure = None\n", "    import random; random.seed(1)\n    function = failure = None\n",
           (BOUNDARY + "EachContainerHasAnIdentityAndRandomnessOfItsOwn",)),
    Mutant("turns", "a_lane_is_never_woken", "dispatcher/core/reasons.h", 'ReasonRow{Reason::kFunctionCap, "function_cap", AnyOf(Happening::kGivenBack, Happening::kDeployed)}',
           'ReasonRow{Reason::kFunctionCap, "function_cap", AnyOf(Happening::kDeployed)}',
           ("TurnsTest.AFunctionAtItsBoundSleepsUntilOneOfItsAttemptsEnds", "CoreTurns.AFunctionAtItsBoundGoesOnWhenOneOfItEnds"), "dispatcher_core_test", TURNS),
    Mutant("turns", "a_lane_is_never_woken_in_the_simulator", "dispatcher/core/reasons.h", 'ReasonRow{Reason::kFunctionCap, "function_cap", AnyOf(Happening::kGivenBack, Happening::kDeployed)}',
           'ReasonRow{Reason::kFunctionCap, "function_cap", AnyOf(Happening::kDeployed)}', ("Simulation.EverySeedKeepsEveryPromise",), "simulation_test", TURNS),
    Mutant("turns", "a_place_that_cools_down_is_never_seen", "dispatcher/core/executors_places.cc", "if (until_us > context_.now_us()) next_us = std::min(next_us, until_us);", "(void)until_us;",
           ("Places.SayWhatTheFiltersSay", "CoreTurns.WhatIsPlacedWhenAnExecutorHasCooledDownOrIsHeardAgain"), "dispatcher_core_test"),
    Mutant("turns", "no_share", "dispatcher/core/turns_offer.cc", "user.placed_ >= ShareOf(places_.credit(), lanes_.wanting())", "user.placed_ < 0",
           ("Sharing.WhileOthersWantAPlaceNobodyGetsAFurtherOneBeyondItsShare",), "dispatcher_core_test"),
    Mutant("turns", "no_reserve", "dispatcher/core/shares.cc", "credit - kept)", "credit)",
           ("Reserves.LongRunsOfAClassNeverHoldWhatIsKeptForOthers", "CoreTurns.LongRunsOfOneUserLeaveAPlaceToWhoComes"), "dispatcher_core_test"),
    Mutant("turns", "no_reserve_in_the_simulator", "dispatcher/core/shares.cc", "credit - kept)", "credit)", ("Pressure.WhoFloodsWithLongRunsHoldsNobodyElseUp",), "simulation_test"),
    Mutant("turns", "what_another_dispatcher_wants_is_not_kept", "executor/core/credit.cc", "std::max(use.active, static_cast<std::int32_t>(owed))", "use.active + 0 * static_cast<std::int32_t>(owed)",
           ("Credit.TwoWhoseUsersWantPlacesHaveThemByTheNumberOfThoseUsers",), "executor_core_test"),
    Mutant("turns", "what_another_dispatcher_wants_is_not_kept_in_the_simulator", "executor/core/credit.cc", "std::max(use.active, static_cast<std::int32_t>(owed))", "use.active + 0 * static_cast<std::int32_t>(owed)",
           ("Pressure.WhoFloodsOneDispatcherTakesNothingFromAnother",), "simulation_test"),
)
