-- A shop in its first year: one order a month.
CREATE TABLE orders (
  id bigint(20) unsigned NOT NULL,
  name varchar(32) NOT NULL,
  customer_id bigint(20) unsigned DEFAULT NULL,
  created_at datetime NOT NULL,
  currency char(3) NOT NULL,
  financial_status varchar(32) DEFAULT NULL,
  subtotal_price decimal(10,2) NOT NULL,
  total_discounts decimal(10,2) NOT NULL,
  total_tax decimal(10,2) NOT NULL,
  total_price decimal(10,2) NOT NULL,
  line_items longtext DEFAULT NULL,
  shipping_lines longtext DEFAULT NULL,
  refunds longtext DEFAULT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARSET=utf8mb4;
