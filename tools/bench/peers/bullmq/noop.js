// The sandboxed processor: runs in a child process.
module.exports = async (job) => job.data;
