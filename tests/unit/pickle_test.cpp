#include "data/pickle.h"

#include <algorithm>

#include "weights_support.h"

namespace langrun {
namespace {

using testing::error_of;
using testing::Scratch;
using testing::shared_file;

// One dictionary of everything that has to be read, wrapped as trainers wrap it.
constexpr char kModel[] = R"(
import collections, torch
base = torch.arange(24, dtype=torch.float32) / 8
state = collections.OrderedDict()
state['module.a.weight'] = base[:6].reshape(2, 3)
state['module.a.turned'] = base[:6].reshape(2, 3).t()
state['module.a.part'] = base.reshape(4, 6)[1:3, ::2]
state['module.half'] = torch.tensor([1.5, -0.25, 65504, 2**-24, float('inf')]).half()
state['module.brain'] = torch.tensor([1.5, -3e38]).bfloat16()
state['module.double'] = torch.tensor([0.1], dtype=torch.float64)
state['module.parameter'] = torch.nn.Parameter(torch.full((1, 1), 7.))
state['module.count'] = torch.tensor(-12345678901)
state['module.flags'] = torch.tensor([True, False])
state['module.empty'] = torch.zeros(0, 3)
state._metadata = {'': {'version': 1}}
adam = {'state': {0: {'exp_avg': torch.ones(3)}}, 'param_groups': [{'lr': 1e-3, 'betas': (.9, .999), 'params': [0]}]}
whole = {'state_dict': state, 'optimizer': adam, 'epoch': 3, 'best': 0.5, 'name': 'x', 'none': None, 'seen': {1, 2}}
)";

const PickledTensor& find(const StateDict& state, const std::string& name) {
  const auto found =
      std::find_if(state.tensors.begin(), state.tensors.end(), [&](const auto& t) { return t.name == name; });
  if (found == state.tensors.end()) throw std::runtime_error("no tensor " + name);
  return *found;
}

void expect_model(const StateDict& state) {
  EXPECT_EQ(state.key, "state_dict");
  ASSERT_EQ(state.tensors.size(), 10u);
  EXPECT_EQ(state.tensors.front().name, "a.weight");
  EXPECT_EQ(find(state, "a.weight").shape, (ArrayShape{2, 3}));
  EXPECT_EQ(find(state, "a.weight").reals, (std::vector<float>{0, 0.125f, 0.25f, 0.375f, 0.5f, 0.625f}));
  EXPECT_EQ(find(state, "a.turned").reals, (std::vector<float>{0, 0.375f, 0.125f, 0.5f, 0.25f, 0.625f}));
  EXPECT_EQ(find(state, "a.part").reals, (std::vector<float>{0.75f, 1, 1.25f, 1.5f, 1.75f, 2}));
  EXPECT_EQ(find(state, "half").type, "float16");
  EXPECT_EQ(find(state, "half").reals,
            (std::vector<float>{1.5f, -0.25f, 65504, 0x1p-24f, std::numeric_limits<float>::infinity()}));
  EXPECT_EQ(find(state, "brain").reals[0], 1.5f);
  EXPECT_NEAR(find(state, "brain").reals[1], -3e38f, 2e36f);
  EXPECT_EQ(find(state, "double").reals, (std::vector<float>{0.1f}));
  EXPECT_EQ(find(state, "parameter").reals, (std::vector<float>{7}));
  EXPECT_EQ(find(state, "count").integers, (std::vector<std::int64_t>{-12345678901}));
  EXPECT_TRUE(find(state, "count").shape.empty());
  EXPECT_EQ(find(state, "flags").integers, (std::vector<std::int64_t>{1, 0}));
  EXPECT_EQ(find(state, "empty").shape, (ArrayShape{0, 3}));
}

/// Skips the test without PyTorch; else runs kModel and then `script`.
#define MAKE_WITH_TORCH(scratch, script)                                                             \
  if (const auto why = testing::without_python(scratch, "torch"); !why.empty()) GTEST_SKIP() << why; \
  ASSERT_TRUE(testing::python(scratch, std::string(kModel) + (script))) << testing::read_file(scratch / "python.log")

TEST(Pickle, ReadsZip) {
  const Scratch scratch;
  MAKE_WITH_TORCH(scratch, "torch.save(whole, 'a.pth')");
  expect_model(read_pytorch(scratch / "a.pth"));
  EXPECT_TRUE(looks_like_pytorch(scratch / "a.pth"));
}

TEST(Pickle, ReadsLegacy) {
  const Scratch scratch;
  MAKE_WITH_TORCH(scratch, "torch.save(whole, 'a.pth', _use_new_zipfile_serialization=False)");
  expect_model(read_pytorch(scratch / "a.pth"));
}

TEST(Pickle, ReadsLaterProtocols) {
  const Scratch scratch;
  MAKE_WITH_TORCH(scratch,
                  "torch.save(whole, 'a.pth', pickle_protocol=4)\n"
                  "torch.save(whole, 'b.pth', pickle_protocol=4, _use_new_zipfile_serialization=False)");
  expect_model(read_pytorch(scratch / "a.pth"));
  expect_model(read_pytorch(scratch / "b.pth"));
}

TEST(Pickle, ReadsDeflatedZip) {
  const Scratch scratch;
  MAKE_WITH_TORCH(scratch, R"(
import zipfile
torch.save(whole, 'a.pth')
with zipfile.ZipFile('a.pth') as old, zipfile.ZipFile('b.pth', 'w', zipfile.ZIP_DEFLATED) as new:
  for name in old.namelist(): new.writestr(name, old.read(name))
)");
  expect_model(read_pytorch(scratch / "b.pth"));
}

TEST(Pickle, ChoosesTheDictionary) {
  const Scratch scratch;
  MAKE_WITH_TORCH(scratch,
                  "torch.save(state, 'bare.pth'); torch.save({'net': state, 'opt': adam}, 'one.pth')\n"
                  "torch.save({'f': state, 'g': {'net': state}}, 'two.pth'); torch.save(base, 'tensor.pth')");
  EXPECT_EQ(read_pytorch(scratch / "bare.pth").key, "");
  EXPECT_EQ(read_pytorch(scratch / "one.pth").key, "net");
  EXPECT_EQ(read_pytorch(scratch / "two.pth", "g.net").tensors.size(), 10u);
  const auto unclear = error_of(ExitCode::input, [&] { read_pytorch(scratch / "two.pth"); });
  EXPECT_NE(unclear.find("f, g.net"), std::string::npos) << unclear;
  const auto absent = error_of(ExitCode::input, [&] { read_pytorch(scratch / "two.pth", "h"); });
  EXPECT_NE(absent.find("'h'"), std::string::npos) << absent;
  error_of(ExitCode::input, [&] { read_pytorch(scratch / "tensor.pth"); });
}

TEST(Pickle, RefusesProgramsAndModules) {
  const Scratch scratch;
  MAKE_WITH_TORCH(scratch,
                  "m = torch.nn.Linear(2, 2); torch.save(m, 'module.pth')\n"
                  "torch.jit.script(m).save('script.pt')");
  const auto module = error_of(ExitCode::input, [&] { read_pytorch(scratch / "module.pth"); });
  EXPECT_NE(module.find("torch.nn.modules.linear.Linear"), std::string::npos) << module;
  const auto script = error_of(ExitCode::input, [&] { read_pytorch(scratch / "script.pt"); });
  EXPECT_NE(script.find("TorchScript"), std::string::npos) << script;
}

TEST(Pickle, ReadsPublishedWeights) {
  const auto path = shared_file("resnet20-cifar10.th");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const auto state = read_pytorch(path);
  EXPECT_EQ(state.key, "state_dict");
  ASSERT_EQ(state.tensors.size(), 97u);
  EXPECT_EQ(state.tensors[0].name, "conv1.weight");
  EXPECT_EQ(state.tensors[0].shape, (ArrayShape{16, 3, 3, 3}));
  EXPECT_EQ(state.tensors.back().name, "linear.bias");
}

// ---- hostile files, made by hand -----------------------------------------------------------------------------------

std::string le(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  return out;
}
std::string unicode(const std::string& text) { return "X" + le(text.size(), 4) + text; }
std::string integer(std::int64_t value) { return "\x8a" + le(8, 1) + le(static_cast<std::uint64_t>(value), 8); }

/// A legacy file around one object's pickle (without its protocol and stop) and what follows it.
std::string legacy(const std::string& object, const std::string& rest = {}) {
  const std::string head = std::string("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
  return head + "\x80\x02M\xe9\x03." + "\x80\x02}." + "\x80\x02" + object + "." + rest;
}

/// A float32 tensor over a storage of `count` elements under key "0".
std::string tensor(std::int64_t count, std::int64_t offset, std::int64_t extent, std::int64_t stride) {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + unicode("storage") + "ctorch\nFloatStorage\n" + unicode("0") +
         unicode("cpu") + integer(count) + "tQ" + integer(offset) + "(" + integer(extent) + "t(" + integer(stride) +
         "t\x89" + "}tR";
}
std::string one_tensor(const std::string& made) { return "}" + unicode("w") + made + "s"; }
std::string storages(std::int64_t count, const std::string& bytes) {
  return "\x80\x02](" + unicode("0") + "e." + le(static_cast<std::uint64_t>(count), 8) + bytes;
}

std::string refusal(const std::string& bytes) {
  const Scratch scratch;
  testing::write_file(scratch / "x.pth", bytes);
  return error_of(ExitCode::input, [&] { read_pytorch(scratch / "x.pth"); });
}

TEST(HostilePickle, HandMadeFileIsReadWhereItIsWhole) {
  const Scratch scratch;
  testing::write_file(scratch / "x.pth",
                      legacy(one_tensor(tensor(2, 0, 2, 1)), storages(2, std::string("\0\0\x80\x3f\0\0\0\x40", 8))));
  const auto state = read_pytorch(scratch / "x.pth");
  ASSERT_EQ(state.tensors.size(), 1u);
  EXPECT_EQ(state.tensors[0].reals, (std::vector<float>{1, 2}));
}

TEST(HostilePickle, RefusesGlobalsByName) {
  EXPECT_NE(refusal(legacy("cos\nsystem\n(" + unicode("touch owned") + "tR")).find("'os.system'"), std::string::npos);
  EXPECT_NE(refusal(legacy("cbuiltins\neval\n(" + unicode("1") + "tR")).find("'builtins.eval'"), std::string::npos);
  // Protocol 4 names globals on the stack.
  EXPECT_NE(refusal(legacy(unicode("posix") + unicode("system") + "\x93")).find("'posix.system'"), std::string::npos);
  const auto shown = refusal(legacy(unicode("a\nlangrun: error: b") + unicode("c") + "\x93"));
  EXPECT_EQ(shown.find('\n'), std::string::npos);
  EXPECT_NE(refusal(legacy("i")).find("opcode 0x69"), std::string::npos);
}

TEST(HostilePickle, RefusesImpossibleSizes) {
  constexpr auto huge = std::int64_t{1} << 40;
  EXPECT_NE(refusal(legacy(one_tensor(tensor(huge, 0, huge, 1)), storages(huge, ""))).find("far larger"),
            std::string::npos);
  EXPECT_NE(refusal(legacy(one_tensor(tensor(1 << 20, 0, 2, 1)), storages(1 << 20, "abcd"))).find("truncated"),
            std::string::npos);
  EXPECT_NE(refusal(legacy(one_tensor(tensor(2, 0, huge, 0)))).find("does not fit its storage"), std::string::npos);
  EXPECT_NE(refusal(legacy(one_tensor(tensor(2, 1, 2, 1)))).find("does not fit its storage"), std::string::npos);
  EXPECT_NE(refusal(legacy(one_tensor(tensor(2, -1, 2, 1)))).find("storage"), std::string::npos);
  EXPECT_NE(refusal(legacy(one_tensor(tensor(4, 0, 3, std::int64_t{1} << 62)))).find("does not fit its storage"),
            std::string::npos);
  EXPECT_NE(refusal(legacy("X\xff\xff\xff\xffzz")).find("bytes wanted"), std::string::npos);
  EXPECT_NE(refusal(legacy("\x8d" + le(~std::uint64_t{0}, 8))).find("bytes wanted"), std::string::npos);
}

TEST(HostilePickle, SurvivesCyclesAndDepth) {
  // A dictionary that holds itself, lists a hundred thousand deep, and dictionaries reached on 2^40 ways.
  EXPECT_NE(refusal(legacy("}q\x01" + unicode("a") + "h\x01s")).find("no dictionary of tensors"), std::string::npos);
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "](";
  refusal(legacy(deep));
  std::string deeper(100000, ']');
  deeper += std::string(99999, 'a');
  EXPECT_NE(refusal(legacy(deeper)).find("no dictionary of tensors"), std::string::npos);
  std::string wide = "}q" + le(0, 1);
  for (int i = 1; i <= 40; ++i)
    wide += "}q" + le(static_cast<std::uint64_t>(i), 1) + unicode("a") + "h" +
            le(static_cast<std::uint64_t>(i - 1), 1) + "s" + unicode("b") + "h" +
            le(static_cast<std::uint64_t>(i - 1), 1) + "s";
  refusal(legacy(wide));
}

TEST(HostilePickle, BoundsWhatASmallFileCanAskFor) {
  refusal(legacy("}" + std::string(3'000'000, '2')));     // a deep stack
  refusal(legacy("]" + std::string(3'000'000, '\x94')));  // many memo slots
  refusal(legacy(std::string(3'000'000, '(')));           // many marks
  refusal(legacy(std::string(3'000'000, 'N')));           // many values
  refusal(legacy("0"));
  refusal(legacy("t"));
  refusal(legacy("h\x07"));
  refusal(legacy("R"));
}

TEST(HostilePickle, RefusesForeignAndEmptyFiles) {
  EXPECT_NE(refusal("").find("empty"), std::string::npos);
  EXPECT_NE(refusal("\x89HDF\r\n\x1a\n").find("not a PyTorch file"), std::string::npos);
  EXPECT_NE(refusal("PK\x03\x04rubbish").find("zip"), std::string::npos);
  EXPECT_NE(refusal("\x80\x02K\x01.").find("not one of torch.save"), std::string::npos);
  const Scratch scratch;
  EXPECT_NE(error_of(ExitCode::input, [&] { read_pytorch(scratch / "absent"); }).find("no file"), std::string::npos);
}

/// Damages `whole` at random places and cuts it; every reading must end in weights or in Error(input).
void batter(const std::string& whole, std::size_t head, int rounds) {
  const Scratch scratch;
  std::uint64_t state = 88172645463325252u;
  const auto random = [&](std::uint64_t bound) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % bound;
  };
  int refused = 0;
  for (int i = 0; i < rounds; ++i) {
    auto bytes = whole;
    for (std::uint64_t flips = 1 + random(4); flips-- > 0;) bytes[random(head)] = static_cast<char>(random(256));
    if (i % 4 == 0) bytes.resize(random(bytes.size()));
    testing::write_file(scratch / "x.pth", bytes);
    try {
      read_pytorch(scratch / "x.pth");
    } catch (const Error& error) {
      ++refused;
      ASSERT_EQ(static_cast<int>(error.code()), 3) << error.what();
      ASSERT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
  }
  EXPECT_GT(refused, rounds / 4);
}

TEST(HostilePickle, SurvivesRandomDamageLegacy) {
  const auto path = shared_file("resnet20-cifar10.th");
  std::string whole = legacy(one_tensor(tensor(2, 0, 2, 1)), storages(2, "abcdefgh"));
  batter(whole, whole.size(), 3000);
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "only the small file: no " << path;
  batter(testing::read_file(path), 13000, 500);
}

TEST(HostilePickle, SurvivesRandomDamageZip) {
  const Scratch scratch;
  MAKE_WITH_TORCH(scratch, "torch.save(whole, 'a.pth')");
  const auto whole = testing::read_file(scratch / "a.pth");
  batter(whole, whole.size(), 2000);
}

}  // namespace
}  // namespace langrun
