/**
 * Test vectors: records of single sessions and flows, one per tag.
 *
 * MADE    by a separate Python program (struct.pack) from field names and values chosen for it, not
 *         by the encoder of this folder; constructed, not captured. The bytes are the reference: a
 *         wrong decoder is changed, never these lines.
 * FORMAT  `# name`, then the header: its bytes in hex, and behind = its items (processor, length,
 *         two samples, two ports, flow context, tag, field count); then one line a field: type,
 *         length and value in hex, the column, =, the value as JSON, or raw for octets that are no
 *         plain ASCII.
 */
export const TRANSACTION_VECTORS = `
# transaction_rdr
31 30323736 3d87 c440 0050 6a6b6c6d f0f0f010 1c
= 49 276 61 135 50240 80 1785425005 4042321936 28
29 0000000b 757365722d303030303137 subscriber_id = "user-000017"
0c 00000002 8000 package_id = -32768
0d 00000004 00000000 service_id = 0
0c 00000002 0001 protocol_id = 1
0d 00000004 03010000 skipped_sessions = 50397184
10 00000004 00000000 server_ip = 0
0f 00000002 a8fd server_port = 43261
29 00000010 6d61696c2e6578616d706c652e6f7267 access_string = "mail.example.org"
29 00000013 2f696e6465782e68746d6c3f713d3126723d32 info_string = "/index.html?q=1&r=2"
10 00000004 00000000 client_ip = 0
0f 00000002 01bb client_port = 443
0b 00000001 ff initiating_side = -1
10 00000004 529b8b71 report_time = 1385925489
10 00000004 80000000 millisec_duration = 2147483648
0b 00000001 03 time_frame = 3
10 00000004 075bcd15 session_upstream_volume = 123456789
10 00000004 00010000 session_downstream_volume = 65536
0f 00000002 8000 subscriber_counter_id = 32768
0f 00000002 ffff global_counter_id = 65535
0f 00000002 0000 package_counter_id = 0
0e 00000001 06 ip_protocol = 6
0d 00000004 00000010 protocol_signature = 16
0d 00000004 03010000 zone_id = 50397184
0d 00000004 fffffff0 flavor_id = -16
0e 00000001 00 flow_close_mode = 0
0f 00000002 0009 unknown_26 = 9
0e 00000001 11 unknown_27 = 17
29 0000000a 756e6b6e6f776e2d3238 unknown_28 = "unknown-28"
# flow_start_rdr
38 30313335 72a6 c825 01bb 797a7b7c f0f0f016 0e
= 56 135 114 166 51237 443 2038070140 4042321942 14
29 00000010 d0b0d0b1d0bed0bdd0b5d0bdd1822d37 subscriber_id = raw
0c 00000002 fffe package_id = -2
0d 00000004 7fffffff service_id = 2147483647
0e 00000001 11 ip_protocol = 17
10 00000004 0a86d5ca server_ip = 176608714
0f 00000002 0000 server_port = 0
10 00000004 ffffffff client_ip = 4294967295
0f 00000002 01bb client_port = 443
0b 00000001 7f initiating_side = 127
10 00000004 529b8b6e start_time = 1385925486
10 00000004 529b8b6f report_time = 1385925487
0b 00000001 00 breach_state = 0
10 00000004 00000474 flow_id = 1140
0b 00000001 ff generator_id = -1
# flow_ongoing_rdr
3f 30313139 a7c5 cc0a 0050 88898a8b f0f0f017 0e
= 63 119 167 197 52234 80 2290715275 4042321943 14
29 00000000 subscriber_id = ""
0c 00000002 8000 package_id = -32768
0d 00000004 00000000 service_id = 0
0e 00000001 06 ip_protocol = 6
10 00000004 ffffffff server_ip = 4294967295
0f 00000002 ffff server_port = 65535
10 00000004 0a86d5ca client_ip = 176608714
0f 00000002 0050 client_port = 80
0b 00000001 03 initiating_side = 3
10 00000004 529b8b6e start_time = 1385925486
10 00000004 529b8b6f report_time = 1385925487
0b 00000001 ff breach_state = -1
10 00000004 00000474 flow_id = 1140
0b 00000001 80 generator_id = -128
# flow_end_rdr
46 30313232 dce4 cfef 01bb 9798999a f0f0f018 0e
= 70 122 220 228 53231 443 2543360410 4042321944 14
29 00000003 4e2f41 subscriber_id = "N/A"
0c 00000002 0001 package_id = 1
0d 00000004 03010000 service_id = 50397184
0e 00000001 00 ip_protocol = 0
10 00000004 0a86d5ca server_ip = 176608714
0f 00000002 a8fd server_port = 43261
10 00000004 ffffffff client_ip = 4294967295
0f 00000002 0000 client_port = 0
0b 00000001 01 initiating_side = 1
10 00000004 529b8b6e start_time = 1385925486
10 00000004 529b8b6f report_time = 1385925487
0b 00000001 80 breach_state = -128
10 00000004 00000474 flow_id = 1140
0b 00000001 00 generator_id = 0
# service_block_rdr
77 30313631 4fbd eb32 0050 01020303 f0f0f040 0f
= 119 161 79 189 60210 80 16909059 4042321984 15
29 00000013 31302e3133342e3231332e32303240696e6574 subscriber_id = "10.134.213.202@inet"
0c 00000002 0002 package_id = 2
0d 00000004 fffffff0 service_id = -16
0c 00000002 7fff protocol_id = 32767
10 00000004 00000000 client_ip = 0
0f 00000002 0050 client_port = 80
10 00000004 d459e8ae server_ip = 3562662062
0f 00000002 a8fd server_port = 43261
0b 00000001 ff initiating_side = -1
29 0000000f 7777772e6578616d706c652e6e6574 access_string = "www.example.net"
29 00000006 2f612e676966 info_string = "/a.gif"
0e 00000001 06 block_reason = 6
10 00000004 075bcd15 block_rdr_count = 123456789
0e 00000001 80 redirected = 128
10 00000004 529b8b73 report_time = 1385925491
# spam_rdr
af 30313837 f7b5 0a5a 0050 797a7b7b f0f0f080 12
= 175 187 247 181 2650 80 2038070139 4042322048 18
29 00000013 31302e3133342e3231332e32303240696e6574 subscriber_id = "10.134.213.202@inet"
0c 00000002 0001 package_id = 1
0d 00000004 03010000 service_id = 50397184
0c 00000002 fffe protocol_id = -2
10 00000004 ffffffff client_ip = 4294967295
0f 00000002 0050 client_port = 80
10 00000004 0a86d5ca server_ip = 176608714
0f 00000002 a8fd server_port = 43261
0b 00000001 01 initiating_side = 1
29 00000000 access_string = ""
29 00000013 2f696e6465782e68746d6c3f713d3126723d32 info_string = "/index.html?q=1&r=2"
0d 00000004 80000000 spam_found = -2147483648
10 00000004 ffffffff threshold_level = 4294967295
0f 00000002 8000 session_counter = 32768
0e 00000001 ff time_interval = 255
0d 00000004 fffffff0 defined_session_counter = -16
10 00000004 00000398 defined_time_interval = 920
10 00000004 529b8b76 report_time = 1385925494
# transaction_usage_rdr
bd 30323639 61f3 1224 0050 97989999 f0f0f438 1d
= 189 269 97 243 4644 80 2543360409 4042323000 29
29 00000003 4e2f41 subscriber_id = "N/A"
0c 00000002 7fff package_id = 32767
0d 00000004 80000000 service_id = -2147483648
0c 00000002 1387 protocol_id = 4999
10 00000004 ffffffff skipped_sessions = 4294967295
10 00000004 0a86d5ca server_ip = 176608714
0f 00000002 ffff server_port = 65535
29 0000000f 7777772e6578616d706c652e6e6574 access_string = "www.example.net"
29 00000006 2f612e676966 info_string = "/a.gif"
10 00000004 0a86d5ca client_ip = 176608714
0f 00000002 a8fd client_port = 43261
0b 00000001 01 initiating_side = 1
10 00000004 529b8b71 report_time = 1385925489
10 00000004 00010000 millisec_duration = 65536
0b 00000001 80 time_frame = -128
10 00000004 00000398 session_upstream_volume = 920
10 00000004 00000474 session_downstream_volume = 1140
0f 00000002 ffff subscriber_counter_id = 65535
0f 00000002 0000 global_counter_id = 0
0f 00000002 0009 package_counter_id = 9
0e 00000001 11 ip_protocol = 17
0d 00000004 00000000 protocol_signature = 0
0d 00000004 00000010 zone_id = 16
0d 00000004 03010000 flavor_id = 50397184
0e 00000001 06 flow_close_mode = 6
0f 00000002 0155 unknown_26 = 341
0e 00000001 80 unknown_27 = 128
29 0000000a 756e6b6e6f776e2d3238 unknown_28 = "unknown-28"
29 0000000a 756e6b6e6f776e2d3239 unknown_29 = "unknown-29"
# http_transaction_usage_rdr
c4 30333139 9612 1609 01bb a6a7a8a8 f0f0f43c 1d
= 196 319 150 18 5641 443 2796005544 4042323004 29
29 0000000b 757365722d303030303137 subscriber_id = "user-000017"
0c 00000002 fffe package_id = -2
0d 00000004 7fffffff service_id = 2147483647
0c 00000002 8000 protocol_id = -32768
10 00000004 075bcd15 skipped_sessions = 123456789
10 00000004 00000000 server_ip = 0
0f 00000002 a8fd server_port = 43261
29 00000000 access_string = ""
29 00000013 2f696e6465782e68746d6c3f713d3126723d32 info_string = "/index.html?q=1&r=2"
10 00000004 00000000 client_ip = 0
0f 00000002 01bb client_port = 443
0b 00000001 00 initiating_side = 0
10 00000004 529b8b71 report_time = 1385925489
10 00000004 00000000 millisec_duration = 0
0b 00000001 7f time_frame = 127
10 00000004 00000474 session_upstream_volume = 1140
10 00000004 80000000 session_downstream_volume = 2147483648
0f 00000002 8000 subscriber_counter_id = 32768
0f 00000002 ffff global_counter_id = 65535
0f 00000002 0000 package_counter_id = 0
0e 00000001 06 ip_protocol = 6
0d 00000004 80000000 protocol_signature = -2147483648
0d 00000004 00000000 zone_id = 0
0d 00000004 00000010 flavor_id = 16
0e 00000001 00 flow_close_mode = 0
29 00000011 4d6f7a696c6c612f352e30202858313129 user_agent = "Mozilla/5.0 (X11)"
29 00000012 687474703a2f2f612e6e65742f612e676966 http_url = "http://a.net/a.gif"
29 0000000f 687474703a2f2f612e6f72672f2c78 http_referer = "http://a.org/,x"
29 00000011 69643d34323b207468656d653d6461726b http_cookie = "id=42; theme=dark"
# rtsp_transaction_usage_rdr
cb 30333539 cb31 19ee 0050 b5b6b7b7 f0f0f440 21
= 203 359 203 49 6638 80 3048650679 4042323008 33
29 00000013 31302e3133342e3231332e32303240696e6574 subscriber_id = "10.134.213.202@inet"
0c 00000002 0002 package_id = 2
0d 00000004 fffffff0 service_id = -16
0c 00000002 7fff protocol_id = 32767
10 00000004 00010000 skipped_sessions = 65536
10 00000004 ffffffff server_ip = 4294967295
0f 00000002 01bb server_port = 443
29 00000010 6d61696c2e6578616d706c652e6f7267 access_string = "mail.example.org"
29 00000007 433a5c70617468 info_string = raw
10 00000004 ffffffff client_ip = 4294967295
0f 00000002 0050 client_port = 80
0b 00000001 03 initiating_side = 3
10 00000004 529b8b71 report_time = 1385925489
10 00000004 00000398 millisec_duration = 920
0b 00000001 ff time_frame = -1
10 00000004 80000000 session_upstream_volume = 2147483648
10 00000004 ffffffff session_downstream_volume = 4294967295
0f 00000002 0155 subscriber_counter_id = 341
0f 00000002 8000 global_counter_id = 32768
0f 00000002 ffff package_counter_id = 65535
0e 00000001 00 ip_protocol = 0
0d 00000004 7fffffff protocol_signature = 2147483647
0d 00000004 80000000 zone_id = -2147483648
0d 00000004 00000000 flavor_id = 0
0e 00000001 ff flow_close_mode = 255
29 0000000f 727473702d73657373696f6e2d6964 rtsp_session_id = "rtsp-session-id"
29 00000011 727473703a2f2f612e6e65742f6c697665 rtsp_url = "rtsp://a.net/live"
29 0000000d 726573706f6e73652d64617465 response_date = "response-date"
10 00000004 00000474 total_encoding_rate = 1140
0e 00000001 ff number_of_video_streams = 255
0e 00000001 00 number_of_audio_streams = 0
29 0000000d 73657373696f6e2d7469746c65 session_title = "session-title"
29 0000000b 7365727665722d6e616d65 server_name = "server-name"
# voip_transaction_usage_rdr
d2 30333235 0050 1dd3 01bb c4c5c6c6 f0f0f46a 24
= 210 325 0 80 7635 443 3301295814 4042323050 36
29 00000000 subscriber_id = ""
0c 00000002 8000 package_id = -32768
0d 00000004 00000000 service_id = 0
0c 00000002 0001 protocol_id = 1
10 00000004 ffffffff skipped_sessions = 4294967295
10 00000004 d459e8ae server_ip = 3562662062
0f 00000002 0000 server_port = 0
29 00000010 6d61696c2e6578616d706c652e6f7267 access_string = "mail.example.org"
29 0000000a 6c696e650a627265616b info_string = raw
10 00000004 d459e8ae client_ip = 3562662062
0f 00000002 ffff client_port = 65535
0b 00000001 ff initiating_side = -1
10 00000004 529b8b71 report_time = 1385925489
10 00000004 00010000 millisec_duration = 65536
0b 00000001 03 time_frame = 3
10 00000004 00000398 session_upstream_volume = 920
10 00000004 00000474 session_downstream_volume = 1140
0f 00000002 0000 subscriber_counter_id = 0
0f 00000002 0009 global_counter_id = 9
0f 00000002 0155 package_counter_id = 341
0e 00000001 80 ip_protocol = 128
0d 00000004 00000010 protocol_signature = 16
0d 00000004 03010000 zone_id = 50397184
0d 00000004 fffffff0 flavor_id = -16
0e 00000001 11 flow_close_mode = 17
10 00000004 ffffffff application_id = 4294967295
0f 00000002 ffff upstream_packet_loss = 65535
0f 00000002 0000 downstream_packet_loss = 0
10 00000004 00000000 upstream_average_jitter = 0
10 00000004 00000398 downstream_average_jitter = 920
29 0000000b 2b34393535353030303031 call_destination = "+4955500001"
29 0000000b 2b34393535353030303032 call_source = "+4955500002"
0e 00000001 00 upstream_payload_type = 0
0e 00000001 06 downstream_payload_type = 6
0e 00000001 11 call_type = 17
0e 00000001 80 media_channels = 128
# media_flow_rdr
d9 30323633 356f 21b8 0050 d3d4d5d5 f0f0f46c 1b
= 217 263 53 111 8632 80 3553940949 4042323052 27
29 00000010 d0b0d0b1d0bed0bdd0b5d0bdd1822d37 subscriber_id = raw
0c 00000002 8000 package_id = -32768
0d 00000004 00000000 service_id = 0
0c 00000002 0001 protocol_id = 1
10 00000004 ffffffff destination_ip = 4294967295
0f 00000002 0000 destination_port = 0
10 00000004 0a86d5ca source_ip = 176608714
0f 00000002 01bb source_port = 443
0b 00000001 03 initiating_side = 3
0d 00000004 00000010 zone_id = 16
0d 00000004 03010000 flavor_id = 50397184
29 0000000f 7369702e6578616d706c652e6e6574 sip_domain = "sip.example.net"
29 0000000d 736f667470686f6e652f312e32 sip_user_agent = "softphone/1.2"
10 00000004 529b8b72 start_time = 1385925490
10 00000004 529b8b73 report_time = 1385925491
10 00000004 00000474 duration_seconds = 1140
10 00000004 80000000 upstream_volume = 2147483648
10 00000004 ffffffff downstream_volume = 4294967295
0e 00000001 11 ip_protocol = 17
0b 00000001 80 flow_type = -128
10 00000004 00000000 session_id = 0
10 00000004 00000398 upstream_jitter = 920
10 00000004 00000474 downstream_jitter = 1140
0f 00000002 0155 upstream_packet_loss = 341
0f 00000002 8000 downstream_packet_loss = 32768
0e 00000001 ff upstream_payload_type = 255
0e 00000001 00 downstream_payload_type = 0
# video_transaction_usage_rdr
e0 30323835 6a8e 259d 01bb e2e3e4e4 f0f0f480 1e
= 224 285 106 142 9629 443 3806586084 4042323072 30
29 0000000b 757365722d303030303137 subscriber_id = "user-000017"
0c 00000002 0002 package_id = 2
0d 00000004 fffffff0 service_id = -16
0c 00000002 7fff protocol_id = 32767
10 00000004 ffffffff skipped_sessions = 4294967295
10 00000004 ffffffff server_ip = 4294967295
0f 00000002 a8fd server_port = 43261
29 00000010 6d61696c2e6578616d706c652e6f7267 access_string = "mail.example.org"
29 00000007 433a5c70617468 info_string = raw
10 00000004 ffffffff client_ip = 4294967295
0f 00000002 01bb client_port = 443
0b 00000001 03 initiating_side = 3
10 00000004 529b8b71 report_time = 1385925489
10 00000004 00010000 millisec_duration = 65536
0b 00000001 ff time_frame = -1
10 00000004 00000398 session_upstream_volume = 920
10 00000004 00000474 session_downstream_volume = 1140
0f 00000002 8000 subscriber_counter_id = 32768
0f 00000002 ffff global_counter_id = 65535
0f 00000002 0000 package_counter_id = 0
0e 00000001 06 ip_protocol = 6
0d 00000004 7fffffff protocol_signature = 2147483647
0d 00000004 80000000 zone_id = -2147483648
0d 00000004 00000000 flavor_id = 0
0e 00000001 00 flow_close_mode = 0
29 00000005 7469746c65 title = "title"
0e 00000001 11 duration = 17
0d 00000004 7fffffff encoding_rate = 2147483647
29 00000007 36343078343830 resolution = "640x480"
29 00000007 72656665726572 referer = "referer"
# anonymized_http_transaction_usage_rdr
e7 30333131 9fad 2982 0050 f1f2f3f3 f0f0f53c 1d
= 231 311 159 173 10626 80 4059231219 4042323260 29
29 00000010 39653130376439643337326262363832 hashed_subscriber_id = "9e107d9d372bb682"
0c 00000002 0002 package_id = 2
0d 00000004 fffffff0 service_id = -16
0c 00000002 7fff protocol_id = 32767
10 00000004 00010000 skipped_sessions = 65536
10 00000004 0a86d5ca server_ip = 176608714
0f 00000002 a8fd server_port = 43261
29 0000000f 7777772e6578616d706c652e6e6574 host = "www.example.net"
29 00000005 2f70616765 url = "/page"
10 00000004 0a86d5ca client_ip = 176608714
0f 00000002 01bb client_port = 443
0b 00000001 03 initiating_side = 3
10 00000004 529b8b71 report_time = 1385925489
10 00000004 00000398 millisec_duration = 920
0b 00000001 ff time_frame = -1
10 00000004 80000000 session_upstream_volume = 2147483648
10 00000004 ffffffff session_downstream_volume = 4294967295
0f 00000002 8000 subscriber_counter_id = 32768
0f 00000002 ffff global_counter_id = 65535
0f 00000002 0000 package_counter_id = 0
0e 00000001 06 ip_protocol = 6
0d 00000004 7fffffff protocol_signature = 2147483647
0d 00000004 80000000 zone_id = -2147483648
0d 00000004 00000000 flavor_id = 0
0e 00000001 00 flow_close_mode = 0
10 00000004 0a86d5ca hashed_subscriber_ip = 176608714
29 00000011 4d6f7a696c6c612f352e30202858313129 user_agent = "Mozilla/5.0 (X11)"
29 0000000f 687474703a2f2f612e6f72672f2c78 http_referer = "http://a.org/,x"
29 00000011 69643d34323b207468656d653d6461726b http_cookie = "id=42; theme=dark"
`;
