# Work for openssl: ciphers, digests and signatures with a fixed result; then a short speed run with two
# processes and asynchronous jobs, whose figures go to a file of their own.
set -euo pipefail
seq 1 400000 >plain
for cipher in aes-256-cbc aes-128-ctr chacha20 camellia-192-cbc; do
    openssl enc "-$cipher" -pbkdf2 -S 0102030405060708 -k word -in plain -out sealed
    openssl enc -d "-$cipher" -pbkdf2 -S 0102030405060708 -k word -in sealed | cmp - plain
    openssl dgst -sha256 sealed
done
for digest in md5 sha1 sha512 sha3-256 blake2b512 sm3; do openssl dgst "-$digest" plain; done
openssl genrsa -out key.pem 2048 2>/dev/null
openssl req -x509 -new -key key.pem -subj "/CN=hakmem" -days 3 -out cert.pem
openssl verify -CAfile cert.pem cert.pem
openssl x509 -in cert.pem -noout -subject -purpose
openssl dgst -sha256 -sign key.pem -out signature plain
openssl dgst -sha256 -prverify key.pem -signature signature plain
openssl cms -encrypt -aes256 -binary -in plain -outform DER -out sealed cert.pem
openssl cms -decrypt -binary -inform DER -in sealed -inkey key.pem | cmp - plain
openssl prime -bits 64 18446744073709551557
rm -f key.pem cert.pem signature sealed
for what in "-evp aes-256-gcm" "-multi 2 sha256" "-async_jobs 4 -evp aes-128-cbc"; do
    openssl speed -seconds 1 -bytes 1024 $what >>../speed 2>/dev/null
done
grep -cE '^(AES-256-GCM|sha256|AES-128-CBC)' ../speed
rm ../speed
