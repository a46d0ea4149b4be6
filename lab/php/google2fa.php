<?php
/**
 * What phpMyAdmin's second factor asks of two libraries that Debian does not ship with it: PragmaRX checks a code (and
 * only that is done here), BaconQrCode draws the picture at the set-up and need only exist.
 */

declare(strict_types=1);

namespace BaconQrCode\Renderer {
    class ImageRenderer
    {
    }
}

namespace PragmaRX\Google2FAQRCode {
    class Google2FA
    {
        private int $window = 1;

        public function setWindow(int $window): void
        {
            $this->window = $window;
        }

        /** Whether this is a code of the secret, up to `window` steps of 30 seconds old or early (RFC 6238). */
        public function verifyKey(string $secret, string $code): bool
        {
            $now = intdiv(time(), 30);
            foreach (range($now - $this->window, $now + $this->window) as $step) {
                if (hash_equals(self::code($secret, $step), $code)) {
                    return true;
                }
            }

            return false;
        }

        private static function code(string $secret, int $step): string
        {
            $bits = '';
            foreach (str_split(strtoupper($secret)) as $letter) {
                $bits .= sprintf('%05b', strpos('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', $letter));
            }

            $key = implode('', array_map(
                static fn (string $octet): string => chr((int) bindec($octet)),
                str_split(substr($bits, 0, intdiv(strlen($bits), 8) * 8), 8)
            ));
            $hash = hash_hmac('sha1', pack('J', $step), $key, true);
            $number = unpack('N', substr($hash, ord($hash[19]) & 15, 4))[1] & 0x7fffffff;

            return sprintf('%06d', $number % 1_000_000);
        }
    }
}
