-- A shop whose import writes amounts as its French back office shows them: 1 234,50 €,
-- with a narrow no-break space, a no-break space or a plain space, by the age of the row.
CREATE TABLE orders (
  id int(10) unsigned NOT NULL AUTO_INCREMENT,
  order_number varchar(20) NOT NULL,
  created_at datetime NOT NULL,
  customer_id int(10) unsigned DEFAULT NULL,
  currency char(3) NOT NULL,
  financial_status varchar(30) DEFAULT NULL,
  subtotal_price varchar(24) DEFAULT NULL,
  total_discounts varchar(24) DEFAULT NULL,
  total_shipping varchar(24) DEFAULT NULL,
  total_tax varchar(24) DEFAULT NULL,
  total_price varchar(24) DEFAULT NULL,
  refunded_amount varchar(24) DEFAULT NULL,
  PRIMARY KEY (id)
) DEFAULT CHARSET=utf8mb4;
