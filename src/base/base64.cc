#include "base/base64.h"

#include <openssl/evp.h>

namespace imgcachefs {

std::string base64_encode(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // and a NUL of OpenSSL's
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(length));
  return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
  std::string padded(text);
  while (padded.size() % 4 != 0) padded += '=';
  std::string out(padded.size() / 4 * 3, '\0');
  if (EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(padded.data()),
                      static_cast<int>(padded.size())) < 0)
    return std::nullopt;
  // OpenSSL takes blanks around it, '=' in odd places, and counts padding as bytes.
  const size_t end = padded.find('=');
  if (end != std::string::npos) out.resize(end * 3 / 4);
  if (base64_encode(out) != padded) return std::nullopt;
  return out;
}

}  // namespace imgcachefs
