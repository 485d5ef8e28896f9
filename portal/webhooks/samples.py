"""Code that a receiver verifies signatures with, in four languages; each uses its standard library alone."""

from typing import Final

PYTHON: Final = """\
import base64, hashlib, hmac, time

def verify(secret: str, headers: dict, body: bytes) -> bool:
    sent_at = headers["webhook-timestamp"]
    if abs(time.time() - int(sent_at)) > 300:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{sent_at}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    right = b"v1," + base64.b64encode(digest)
    sent = headers["webhook-signature"].encode().split()
    return any(hmac.compare_digest(right, each) for each in sent)
"""
NODE: Final = """\
const crypto = require("node:crypto");

function verify(secret, headers, body) { // body: the Buffer as received
  const sentAt = headers["webhook-timestamp"];
  if (!(Math.abs(Date.now() / 1000 - Number(sentAt)) <= 300)) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const digest = crypto.createHmac("sha256", key)
    .update(`${headers["webhook-id"]}.${sentAt}.`).update(body).digest("base64");
  const right = Buffer.from(`v1,${digest}`);
  return headers["webhook-signature"].split(" ").some((each) => {
    const sent = Buffer.from(each);
    return sent.length === right.length && crypto.timingSafeEqual(sent, right);
  });
}
"""
PHP: Final = """\
function verify(string $secret, array $headers, string $body): bool {
    $sentAt = $headers['webhook-timestamp'];
    if (abs(time() - (int) $sentAt) > 300) {
        return false;
    }
    $key = base64_decode(preg_replace('/^whsec_/', '', $secret));
    $signed = $headers['webhook-id'] . '.' . $sentAt . '.' . $body;
    $right = 'v1,' . base64_encode(hash_hmac('sha256', $signed, $key, true));
    foreach (explode(' ', $headers['webhook-signature']) as $each) {
        if (hash_equals($right, $each)) {
            return true;
        }
    }
    return false;
}
"""
GO: Final = """\
func verify(secret string, headers http.Header, body []byte) bool {
	sentAt := headers.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(sentAt, 10, 64)
	if err != nil || math.Abs(time.Since(time.Unix(seconds, 0)).Seconds()) > 300 {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	digest := hmac.New(sha256.New, key)
	digest.Write([]byte(headers.Get("webhook-id") + "." + sentAt + "."))
	digest.Write(body)
	right := "v1," + base64.StdEncoding.EncodeToString(digest.Sum(nil))
	for _, each := range strings.Fields(headers.Get("webhook-signature")) {
		if hmac.Equal([]byte(each), []byte(right)) {
			return true
		}
	}
	return false
}
"""
SAMPLES: Final = {"python": ("Python", PYTHON), "node": ("Node.js", NODE), "php": ("PHP", PHP), "go": ("Go", GO)}
"""Key in the address → name of the language, code."""
