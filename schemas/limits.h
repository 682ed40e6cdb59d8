// Every limit on what travels, by name. Passing one is a typed answer that names it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hearth {

constexpr std::size_t kMaxPayloadBytes = 1U << 20;      // input of an invocation
constexpr std::size_t kMaxOutputBytes = 1U << 20;       // output of an invocation
constexpr std::size_t kMaxTopicRecordBytes = 4U << 20;  // a record that hearth's topics take, all included
constexpr std::size_t kMaxReplyBytes = 3U << 20;        // of a reply's value; see kMaxTopicRecordBytes
constexpr std::size_t kMaxHeaderBytes = 8U << 10;       // one header of a record, name and value
constexpr std::size_t kMaxHeaders = 64;                 // headers of a record
constexpr std::size_t kMaxIdentifierBytes = 128;        // [A-Za-z0-9._-]
constexpr std::size_t kMaxEventIdBytes = 1024;          // the id of a CloudEvent
constexpr std::size_t kMaxScannedBytes = 8U << 20;  // of a record that is refused: looked through for whom to answer
constexpr std::size_t kMaxContentTypeBytes = 256;
constexpr std::size_t kMaxRecordBytes = (1U << 20) + (96U << 10);  // value of a request record in any form
constexpr std::uint32_t kMaxMsgpackDepth = 32;
constexpr std::size_t kMaxMapKeys = 64;
constexpr std::size_t kMaxStringBytes = 64U << 10;   // a string that is not the payload
constexpr std::size_t kMaxLogTailBytes = 16U << 10;  // end of the log that a result carries
constexpr std::size_t kMaxErrorMessageBytes = 4U << 10;
constexpr std::size_t kMaxCodeBytes = 64U << 20;                   // code archive of a function
constexpr std::size_t kMaxCodeEntries = 20'000;                    // files and folders of an archive
constexpr std::size_t kMaxCodePathParts = 64;                      // of one of them
constexpr std::size_t kMaxEnvironmentBytes = 16U << 10;            // names and values together
constexpr std::size_t kMaxFrameBytes = (1U << 20) + (256U << 10);  // link and guest frames, header excluded
constexpr std::size_t kMaxCodeChunkBytes = 256U << 10;             // one kCodeChunk frame
constexpr std::int32_t kDefaultTimeoutMs = 3000;
constexpr std::int32_t kMaxTimeoutMs = 15 * 60 * 1000;
constexpr std::int32_t kDefaultMemoryMib = 128;
constexpr std::int32_t kMinMemoryMib = 32;
constexpr std::int32_t kMaxMemoryMib = 10240;
constexpr std::int32_t kMaxContainerIdleS = 24 * 3600;
constexpr std::int32_t kDefaultAttempts = 3;
constexpr std::int32_t kMaxAttempts = 100;
constexpr std::int32_t kMaxInfrastructureFailures = 3;  // then the invocation is poison
constexpr std::int64_t kDefaultMaxAgeMs = 6LL * 3600 * 1000;

constexpr std::size_t kMaxBatchIdBytes = 96;  // [A-Za-z0-9._-]; with an item's number it still names an invocation
constexpr std::int64_t kMaxBatchItems = 10'000'000;  // of a batch; each has a payload of at most kMaxPayloadBytes
constexpr std::size_t kMaxItemIdBytes = 128;         // that a client gives an item: UTF-8 without control characters
constexpr std::size_t kMaxBatchSpecBytes = 512U << 10;
constexpr std::size_t kMaxInlineBytes = 256U << 10;  // items in the spec itself, as a compact JSON list
constexpr std::size_t kMaxBatchRanges = 4096;        // of offsets
constexpr std::size_t kMaxLabels = 16;               // of a batch
constexpr std::size_t kMaxLabelNameBytes = 64;
constexpr std::size_t kMaxLabelValueBytes = 256;
constexpr std::int32_t kMaxBatchConcurrency = 100'000;
constexpr std::int32_t kMaxBatchPriority = 100;
constexpr std::int32_t kDefaultBatchPriority = 50;
constexpr std::int32_t kMaxTolerancePercent = 100;
constexpr std::int32_t kMaxBatchGeneration = 255;                   // redrives of a batch
constexpr std::int64_t kBatchRetentionMs = 7LL * 24 * 3600 * 1000;  // of items and results: no deadline is later
constexpr std::int64_t kDefaultBatchDeadlineMs = 24LL * 3600 * 1000;
constexpr std::size_t kMaxBatchWantBytes = 1024;
constexpr std::size_t kMaxBatchStateBytes = 48U << 10;  // labels are escaped, with six bytes for one at most
constexpr std::size_t kMaxBatchReasonBytes = 1024;

}  // namespace hearth
