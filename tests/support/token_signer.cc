#include "support/token_signer.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <stdexcept>
#include <string_view>

#include "base/base64.h"

namespace imgcachefs::test {
namespace {

void must(bool good, const char* what) {
  if (!good) throw std::runtime_error(std::string("token signer: ") + what);
}

std::string base64_url(std::string_view bytes) {
  std::string out = base64_encode(bytes);
  while (out.ends_with('=')) out.pop_back();
  for (char& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return out;
}

void add_extension(X509* cert, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, cert, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  must(extension != nullptr && X509_add_ext(cert, extension, -1) == 1, "extension");
  X509_EXTENSION_free(extension);
}

}  // namespace

struct TokenSigner::Key {
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> pair{EVP_RSA_gen(2048), &EVP_PKEY_free};
  std::string cert;  // DER in Base64
};

TokenSigner::TokenSigner(const std::string& cert_file) : key_(std::make_unique<Key>()) {
  must(key_->pair != nullptr, "key");
  std::unique_ptr<X509, decltype(&X509_free)> cert(X509_new(), &X509_free);
  X509_set_version(cert.get(), 2);  // which is version 3
  ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), 86400);
  X509_NAME* name = X509_get_subject_name(cert.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("token server of a test"), -1,
                             -1, 0);
  X509_set_issuer_name(cert.get(), name);
  X509_set_pubkey(cert.get(), key_->pair.get());
  add_extension(cert.get(), NID_basic_constraints, "critical,CA:TRUE");
  add_extension(cert.get(), NID_subject_key_identifier, "hash");
  must(X509_sign(cert.get(), key_->pair.get(), EVP_sha256()) > 0, "certificate");

  std::FILE* file = std::fopen(cert_file.c_str(), "w");
  must(file != nullptr, "cannot write the certificate");
  const bool written = PEM_write_X509(file, cert.get()) == 1;
  must(std::fclose(file) == 0 && written, "cannot write the certificate");

  unsigned char* der = nullptr;
  const int size = i2d_X509(cert.get(), &der);
  must(size > 0, "certificate");
  key_->cert = base64_encode({reinterpret_cast<const char*>(der), static_cast<size_t>(size)});
  OPENSSL_free(der);
}

TokenSigner::~TokenSigner() = default;

std::string TokenSigner::sign(const nlohmann::json& claims) const {
  const nlohmann::json header = {{"typ", "JWT"}, {"alg", "RS256"}, {"x5c", {key_->cert}}};
  const std::string text = base64_url(header.dump()) + "." + base64_url(claims.dump());
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                  &EVP_MD_CTX_free);
  std::string signature(512, '\0');
  size_t size = signature.size();
  must(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_->pair.get()) == 1 &&
           EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                          reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1,
       "signature");
  signature.resize(size);
  return text + "." + base64_url(signature);
}

}  // namespace imgcachefs::test
