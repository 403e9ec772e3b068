// Journals: what is whole is read back, and a record added behind it comes after it.
#include "data/journal.h"

#include "data/durable.h"
#include "tests/fuzz/fuzz.h"

namespace {

/// Journals guard each record by a checksum, which no mutation hits: runs of the input become records of their own.
std::vector<std::uint8_t> journal_of(langrun::fuzz::Octets input) {
  std::vector<std::uint8_t> journal;
  while (!input.empty()) {
    const auto choice = langrun::fuzz::take_choice(input);
    const auto piece = input.first(std::min<std::size_t>(choice / 2, input.size()));
    input = input.subspan(piece.size());
    if ((choice & 1) == 0) {
      journal.insert(journal.end(), piece.begin(), piece.end());
      continue;
    }
    const std::string word = "langrun1";
    const std::uint64_t length = piece.size();
    langrun::Checksum sum;
    sum.add(std::as_bytes(piece));
    const auto checksum = sum.text();
    journal.insert(journal.end(), word.begin(), word.end());
    journal.insert(journal.end(), reinterpret_cast<const std::uint8_t*>(&length),
                   reinterpret_cast<const std::uint8_t*>(&length) + sizeof length);
    journal.insert(journal.end(), checksum.begin(), checksum.end());
    journal.insert(journal.end(), piece.begin(), piece.end());
  }
  return journal;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace langrun;
  static const fuzz::Folder folder;
  const auto path = folder.put("records", journal_of({data, size}));
  auto records = read_journal(path);
  std::size_t bytes = 0;
  for (const auto& record : records) bytes += record.size();
  fuzz::require(bytes <= std::filesystem::file_size(path), "records are no more than the file");
  const std::vector<std::byte> more(3, std::byte{7});
  {
    Journal journal(path);
    journal.add(more);
    // What it keeps of damaged ones would pile up.
    if (journal.damage()) std::filesystem::remove(journal.damage()->kept);
  }
  records.push_back(more);
  fuzz::require(read_journal(path) == records, "a record is added behind the whole ones");
  return 0;
}
