#include "jobs/bank_file.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/torch.h"
#include "data/hdf5.h"

namespace langrun {
namespace {

// Of a read, so that a lane is not held twice. Writes have pieces of their own: StreamedFile::write.
constexpr std::int64_t kPieceBytes = 8 << 20;

h5::Shape row_shape(const ImageShape& image) {
  return {static_cast<std::uint64_t>(image.channels), static_cast<std::uint64_t>(image.height),
          static_cast<std::uint64_t>(image.width)};
}

void check_shape(const h5::Dataset& dataset, const h5::Shape& expected, const std::string& file) {
  if (dataset.shape() != expected)
    throw Error(ExitCode::input,
                fmt::format("{}: {} is {}, expected {}", file, dataset.name(), h5::to_text(dataset.shape()),
                            h5::to_text(expected)),
                "the snapshot belongs to another configuration");
}

std::int64_t piece_rows(const ImageShape& image) {
  return std::max<std::int64_t>(1, kPieceBytes / (image.elements() * static_cast<std::int64_t>(sizeof(float))));
}

}  // namespace

std::string bank_file_name(std::int64_t lane) { return fmt::format("bank-{}.h5", lane); }

std::optional<WrittenFile> write_bank_lane(const std::filesystem::path& folder, std::int64_t lane, std::int64_t lanes,
                                           FrozenBank& bank, const std::vector<BankGroup>& groups, std::size_t memory,
                                           const std::function<bool()>& stop) {
  StreamedFile file(folder / bank_file_name(lane));
  const auto nz = static_cast<std::uint64_t>(bank.latent_length());
  // A row is taken once, image and latent; the latents wait here for their place in the file, behind the images.
  std::vector<std::vector<float>> latents;
  for (const auto& group : groups) latents.emplace_back(static_cast<std::uint64_t>(bank.rows(group.which)) * nz);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto which = groups[i].which;
    const auto name = "/" + groups[i].name;
    const auto rows = static_cast<std::uint64_t>(bank.rows(which));
    file.create_group(name);
    file.write_attribute(name, "lane", lane);
    file.write_attribute(name, "lanes", lanes);
    auto shape = row_shape(bank.image());
    shape.insert(shape.begin(), rows);
    file.add(name + "/images", h5::Type::f32, shape,
             [&bank, which, nz, &own = latents[i]](std::uint64_t first, std::uint64_t count, std::byte* out) {
               bank.take(which, static_cast<std::int64_t>(first), static_cast<std::int64_t>(count),
                         reinterpret_cast<float*>(out), own.data() + first * nz);
             });
    file.add(name + "/latents", {rows, nz}, latents[i].data());
    file.add(name + "/updates", {rows}, bank.updates(which).data());
    file.add(name + "/visits", {rows}, bank.visits(which).data());
  }
  return file.write(memory, stop);
}

BankLane read_bank_lane(const std::filesystem::path& folder, std::int64_t lane, std::int64_t lanes, std::int64_t rows,
                        const ImageShape& image, std::int64_t latent, const std::string& group) {
  const auto path = folder / bank_file_name(lane);
  const auto file = h5::File::open(path);
  const auto root = "/" + group;
  const auto held = file.read_int_attribute(root, "lane"), of = file.read_int_attribute(root, "lanes");
  if (held != lane || of != lanes)
    throw Error(ExitCode::input,
                fmt::format("{} holds lane {} of {}, expected is lane {} of {}", path.string(), held, of, lane, lanes),
                "the checkpoint was put together by hand; use another one");
  const auto n = static_cast<std::uint64_t>(rows);
  auto bank = BankLane::make(rows, image, latent);
  auto shape = row_shape(image);
  shape.insert(shape.begin(), n);
  const auto images = file.dataset(root + "/images"), latents = file.dataset(root + "/latents");
  const auto updates = file.dataset(root + "/updates"), visits = file.dataset(root + "/visits");
  check_shape(images, shape, path.string());
  check_shape(latents, {n, static_cast<std::uint64_t>(latent)}, path.string());
  check_shape(updates, {n}, path.string());
  check_shape(visits, {n}, path.string());
  for (std::int64_t first = 0; first < rows; first += piece_rows(image)) {
    const auto count = std::min(piece_rows(image), rows - first);
    auto piece = torch::empty({count, image.channels, image.height, image.width});
    images.read_rows(static_cast<std::uint64_t>(first), static_cast<std::uint64_t>(count),
                     piece.mutable_data_ptr<float>());
    bank.images.narrow(0, first, count).copy_(piece);
  }
  latents.read_all(h5::Type::f32, bank.latents.mutable_data_ptr<float>());
  bank.updates = updates.read<std::int64_t>();
  bank.visits = visits.read<std::int64_t>();
  return bank;
}

}  // namespace langrun
