package jose

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// published are keys that anybody can sign with, since their private half is printed somewhere. A public key is listed
// by its thumbprint (RFC 7638), a secret by its SHA-256. The value says where the key is printed.
var published = map[string]string{
	"c8ecc9361a05e285f04c26f9572131a6deab07e9e2b865053c6f75a4d8bd2b32": "RFC 7515 appendix A.1",
	"22c527ebf7b4e0c692857148212329e241bad8b5b33083f2fccbd2039a49817f": "RFC 7515 appendix A.2",
	"a0a232c2f194a53553cb1310ddbc0821e414b9d7ebfc290b323084d7d1020fe5": "RFC 7515 appendix A.3",
	"bb96144a3436fb6721062e75352937b7783b20ce28d8a61c9cfa8fb423467775": "RFC 7515 appendix A.4",
	"c6d22c395d45a8a1fbec023f0378dd4e0e507dd69bcea23e2cda584cf8b42202": "RFC 7516 appendix A.1",
	"fcad1f5d2f3096c4fb4e7defbd9aecf6a74a508aa2e40c50e44564e35c62fc13": "RFC 7516 appendix A.2",
	"727f88fd634c0a57a1895a79d62ff4569384356d6ea447ab03cb046a6e619feb": "RFC 7517 appendix A.1",
	"3736cbb1787cb8309c77ee8c3705c5e16ffb9e859715901f1e4c59b11182f57b": "RFC 7517 appendix A.1",
	"747ae2dd2003664aeeb21e4753fe7402846170a16bc8df8f23a8cf06d3cbe793": "RFC 7520 section 3.1",
	"f63838e96077ad1fc01c3f8405774dedc0641f558ebb4b40dccf5f9b6d66a932": "RFC 7520 section 3.3",
	"73ec74458059c70cae3f0ade8663fe0da1dc4b114ed8cdac75364140b4458a4c": "RFC 7520 section 3.5",
	"2cd6f10056d08e10430ad5658b5565056c93fcde047563f7e53a56452467c050": "RFC 7520 section 3.6",
	"87f8eeb6f0be8e0dcdc2e7aaf0b99d4b26d7ca456c070938ff9bb963d2624bb1": "RFC 7520 section 5.1",
	"46df88c831215e886f4e5fe8cca43d6067e55c6b836f7baedd09aa3762e83303": "RFC 7520 section 5.2",
	"6252a507b336c274b470f9ff57b396f85b832ee59d27dcf83af3c79a11837de1": "RFC 7520 section 5.4",
	"ad3b473daeec7f8514082280c30ee3f979e10f600ac0e18d22c1830e2a5ffc43": "RFC 7520 section 5.4",
	"1ec4856a5c30df23fe74efa558662015cc95e47db6a1270815ce15d98e863ada": "RFC 7520 section 5.5",
	"99355adfd28d2bc2c8f59800932a903906b26aa54eec35eeadaa6a93311b7cc8": "RFC 7520 section 5.5",
	"dc60a5b74b5e649e5f9559b39933a55b2ba6bbe9a0096d46370e65ecd8f92f1e": "RFC 7520 section 5.7",
	"9a7f53b5d1f539f2653bdd5e51768419ef6d4eb0f3a305ecfe7db0286aea2cde": "RFC 7520 section 5.13",
	"f22ccea810a3d570705b0d3e89370cbf6ee950a5b016f366c3e92eb727f37fe8": "RFC 7520 section 6",
	"90facafea9b1556698540f70c0117a22ea37bd5cf3ed3c47093c1707282b4b89": "RFC 8032 section 7.1",
	"16d22ef956c6adf7bf281e821fb18dc0e0c1ef630dc63fe6975d5d12f3beee49": "RFC 8032 section 7.1",
	"155579ba64ee6aef3dd2ae7d57ee066bf47aa966fb38dfe2bc9738123bc2c133": "RFC 8032 section 7.1",
	"959235bcceed9e561aa5a179f9ccbcea9b71d2d4fff00bfbdb586188d079b62e": "RFC 8032 section 7.1",
	"8a20c71df155346e8808c513b22720ad67f58a0b4561910aef7c65a1bb756a1e": "RFC 8032 section 7.1",
	"16f8bf8fc2269a8e80960230a592aa6979cd3fff5bd3da4b2a440739b45e6d06": "RFC 8705 appendix A",
	"d1970e08e459358cbe0d6a6aab7d236722461d33747761e0941577ba282e0382": "RFC 9449 section 4",
	"94cbb689f461bf404ccdd80a5a85ef1030594c7213faf67676544301ad0c73c8": "Token Status List",
	"465d9ad5d5528ebe287b5dce4fb51620833d09b290e49ddcc70ca6c4a0aea01b": "jwt.io, HS256",
	"730d21a80e61a8de82d12cb4c0b8057cff5a30e2dec50ce7a773513374f9164a": "jwt.io, HS384",
	"db6833593279d7373592ef70e51f3daf048c04475739f8ed024b0821fd9e7fde": "jwt.io, HS512",
	"a060e61ea089ef2ccc916124ae56551e4beb1c8c90c2d94399eab9168ad41de6": "jwt.io, RS256",
	"d7d27ccbb669aeddbe40a2e3176239a559343842d7e9c63601f680bf52c2ff0f": "jwt.io, ES256",
	"893a975c8d336c09c908a0daa1b7e190cd5ffbaacc4a94dfc99311a7fdad288f": "jwt.io, ES384",
	"c590df669af2e0ff6f64f6721b67cd0518feecbcf9a2655d9bbb47a0281235f6": "jwt.io, ES512",
	"401796351b1827c19dd28be04ced7b3abce445b7f1bbf840f1b95a9b10ff2dff": "jwt.io, EdDSA",
	"3354cfcf65c7b2e6840ea6f880aede239750cb1d063950c4e8fd9fbf9ec73a32": "a widely copied Spring Security tutorial",
	"b3f6f5d4f9cee4e99fe5db63234b775a205edc23efbbff87acc308626b5fd24a": "a widely copied Spring Security tutorial",
	"136cb1c5a79bc9d943efda382fde1bfa26e0e140ff444657cf7fb056e2977b1c": "a widely copied Spring Security tutorial",
}

// checkPublished takes the thumbprint of a public key or the hash of a secret.
func checkPublished(sum [32]byte) error {
	if where, ok := published[hex.EncodeToString(sum[:])]; ok {
		return fmt.Errorf("%w (%s)", ErrPublishedKey, where)
	}
	return nil
}

// checkPublishedSecret also checks what the secret may be an encoding of: people copy examples in both forms.
func checkPublishedSecret(secret []byte) error {
	for _, form := range append(decodings(visible(secret)), secret) {
		if err := checkPublished(sha256.Sum256(form)); err != nil {
			return err
		}
	}
	return nil
}
